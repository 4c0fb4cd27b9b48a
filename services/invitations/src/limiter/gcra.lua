-- The limiter's transitions. Mirrors state.rs and user_log.rs line by line; one conformance suite
-- holds both to it. One key a call, so that it runs on a Redis Cluster. Times are microseconds, below 2^53.
-- KEYS[1]  the subject's key
-- ARGV[1]  the operation;  ARGV[2]  the time, in tests only: empty means Redis's own
-- Replies  {allowed, count, retry_micros, mark, settled}
local key = KEYS[1]
local operation = ARGV[1]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function argument(index)
  return tonumber(ARGV[index + 2])
end

local function load()
  local numbers = {}
  local text = redis.call('GET', key)
  if text then
    for number in string.gmatch(text, '%-?%d+') do
      numbers[#numbers + 1] = tonumber(number)
    end
  end
  return numbers
end

-- Keeps the state for as long as it says anything; then the key goes by itself.
local function save(numbers, life)
  if life <= 0 then
    redis.call('DEL', key)
    return
  end
  local parts = {}
  for index, number in ipairs(numbers) do
    parts[index] = string.format('%.0f', number)
  end
  redis.call('SET', key, table.concat(parts, ' '), 'PX', string.format('%.0f', math.ceil(life / 1000)))
end

-- Where the last of the numbers from first on stands that equals mark.
local function find(numbers, first, mark)
  for index = #numbers, first, -1 do
    if numbers[index] == mark then
      return index
    end
  end
end

-- A user: since when effects count, effects, the last first admission, when repeats are paid off, and from the fifth on
-- pairs of the time of a failure within a day, oldest first, negative: under way, and its guess.
local ENTRIES = 5
local REPEATS = 4

local function load_user(day, under_way)
  local state = load()
  local log = {state[1] or 0, state[2] or 0, state[3] or 0, state[4] or 0}
  if now >= log[1] + day or log[1] > now then
    log[1], log[2] = 0, 0
  end
  if now >= log[3] + day or log[3] > now then
    log[3] = 0
  end
  for index = ENTRIES, #state, 2 do
    local entry = state[index]
    local time = math.abs(entry)
    if entry > 0 or math.abs(time - now) >= under_way then
      time = math.min(time, now)
    end
    if time > now - day then
      log[#log + 1] = entry > 0 and time or -time
      log[#log + 1] = state[index + 1]
    end
  end
  return log
end

local function save_user(log, day)
  local last = #log >= ENTRIES and math.abs(log[#log - 1]) or 0
  save(log, math.max(last, log[1], log[3]) + day - now)
end

-- Where the last failure under way of this mark and guess stands.
local function find_under_way(log, mark, guess)
  for index = #log - 1, ENTRIES, -2 do
    if log[index] == -mark and log[index + 1] == guess then
      return index
    end
  end
end

-- How long until one more failure fits onto those of times; not above 0: at once.
local function wait_of_user(times, burst, interval, daily, day)
  local forgotten_at = now
  local first = 1
  while true do
    local oldest = times[first] and times[first] + day
    if #times - first + 1 < daily then
      local arrival = 0
      for index = first, #times do
        arrival = math.max(arrival, times[index]) + interval
      end
      local passes_at = math.max(forgotten_at, arrival + interval - burst * interval)
      if not oldest or passes_at <= oldest then
        return passes_at - now
      end
    end
    forgotten_at = math.max(forgotten_at, oldest or now)
    first = first + 1
  end
end

-- Counts a repeat. Whether it may go on, how many before it are not paid off, and how long until one may.
local function repeat_user(log, burst, interval)
  local depth = burst * interval
  log[REPEATS] = math.min(log[REPEATS], now + depth)
  local before = math.ceil(math.max(log[REPEATS] - now, 0) / interval)
  local arrival = math.max(log[REPEATS], now) + interval
  local wait = arrival - now - depth
  if wait > 0 then
    return 0, before, wait
  end
  log[REPEATS] = arrival
  return 1, before, 0
end

if operation == 'charge_user' then
  local day, under_way, burst, interval, daily = argument(1), argument(2), argument(3), argument(4), argument(5)
  local guess, repeats_burst, repeats_interval = argument(6), argument(7), argument(8)
  local log = load_user(day, under_way)
  local all, settled, known = {}, {}, false
  for index = ENTRIES, #log, 2 do
    local time = math.abs(log[index])
    if log[index] > 0 or math.abs(time - now) >= under_way then
      settled[#settled + 1] = math.min(time, now)
    end
    all[#all + 1] = math.min(time, now)
    known = known or (guess ~= 0 and log[index + 1] == guess)
  end
  local reply
  if known then
    local allowed, before, wait = repeat_user(log, repeats_burst, repeats_interval)
    -- Who presses a few times is no poller.
    local polls = math.max(before - burst, 0)
    reply = {allowed, #all + polls, wait, 0, #settled + polls}
  elseif wait_of_user(all, burst, interval, daily, day) > 0 then
    local retry = wait_of_user(settled, burst, interval, daily, day)
    reply = {0, #all, math.max(retry, 1), 0, #settled}
  else
    log[#log + 1] = -now
    log[#log + 1] = guess
    reply = {1, #all, 0, now, #settled}
  end
  -- Saved also when refused: what a clock set back made of it must stay.
  save_user(log, day)
  return reply
end

if operation == 'refund_user' then
  local day, under_way, mark, guess = argument(1), argument(2), argument(3), argument(4)
  local repeats_interval, effect, effects_max = argument(5), argument(6), argument(7)
  local log = load_user(day, under_way)
  local given_back = effect == 0 or log[2] < effects_max
  if effect ~= 0 and given_back then
    if log[2] == 0 then
      log[1] = now
    end
    log[2] = log[2] + 1
  end
  local index = find_under_way(log, mark, guess)
  if mark == 0 then
    log[REPEATS] = math.max(log[REPEATS] - repeats_interval, 0)
  elseif index and given_back then
    table.remove(log, index + 1)
    table.remove(log, index)
  elseif index then
    log[index] = mark
  end
  if effect ~= 0 then
    for entry = ENTRIES, #log, 2 do
      if log[entry + 1] == guess then
        log[entry + 1] = 0
      end
    end
  end
  local is_first = effect == 2 and log[3] == 0
  if is_first then
    log[3] = now
  end
  save_user(log, day)
  return {given_back and 1 or 0, is_first and 1 or 0, 0, 0, 0}
end

if operation == 'keep_user' then
  local day, under_way, mark, guess = argument(1), argument(2), argument(3), argument(4)
  local log = load_user(day, under_way)
  local index = find_under_way(log, mark, guess)
  if index then
    log[index] = mark
  end
  save_user(log, day)
  return {1, 0, 0, 0, 0}
end

if operation == 'clear_user' then
  redis.call('DEL', key)
  return {1, 0, 0, 0, 0}
end

-- A bucket: theoretical arrival time of what is settled; start of the window of additions, additions, additions
-- spent; from the fifth on the times of charges under way, negative where additions pay.
local bucket_operations = {
  charge_bucket = true, peek_bucket = true, refund_bucket = true, keep_bucket = true, add_to_bucket = true,
}
if bucket_operations[operation] then
  local HOLDS = 5
  local window, under_way, burst, interval = argument(1), argument(2), argument(3), argument(4)
  local depth = burst * interval
  local state = load()
  local arrival, start = state[1] or 0, state[2] or 0
  local added, spent = state[3] or 0, state[4] or 0
  local over = now >= start + window or start > now
  if over then
    start, added, spent = 0, 0, 0
  end
  local holds = {}
  for index = HOLDS, #state do
    local hold = state[index]
    if hold > 0 or not over then
      -- What is never settled stays charged.
      if math.abs(math.abs(hold) - now) < under_way then
        holds[#holds + 1] = hold
      elseif hold > 0 then
        arrival = math.max(arrival, math.min(hold, now)) + interval
      end
    end
  end
  arrival = math.min(arrival, now + depth)

  local function arrival_with_holds()
    local result = arrival
    for _, hold in ipairs(holds) do
      if hold > 0 then
        result = math.max(result, math.min(hold, now)) + interval
      end
    end
    return result
  end

  local function wait(from)
    return math.max(from, now) + interval - now - depth
  end

  local function wait_once_settled()
    for _, hold in ipairs(holds) do
      if hold < 0 then
        return 0
      end
    end
    return wait(arrival)
  end

  local reply = {1, 0, 0, 0, 0}
  if operation == 'charge_bucket' then
    local held = argument(5) == 1
    local mark
    if wait(arrival_with_holds()) <= 0 then
      mark = now
    elseif spent < added then
      spent = spent + 1
      mark = -now
    end
    if not mark then
      reply = {0, 0, math.max(wait_once_settled(), 1), 0, 0}
    else
      if held then
        holds[#holds + 1] = mark
      elseif mark > 0 then
        arrival = math.max(arrival, now) + interval
      end
      reply[4] = mark
    end
  elseif operation == 'peek_bucket' then
    if wait(arrival_with_holds()) > 0 and spent >= added then
      reply = {0, 0, math.max(wait_once_settled(), 1), 0, 0}
    end
  elseif operation == 'add_to_bucket' then
    local most = argument(5)
    if added == 0 then
      start = now
    end
    added = math.min(added + 1, most)
    reply[2] = added
  else
    local mark = argument(5)
    local index = find(holds, 1, mark)
    if index then
      table.remove(holds, index)
      if operation == 'refund_bucket' and mark < 0 then
        spent = math.max(0, spent - 1)
      elseif operation == 'keep_bucket' and mark > 0 then
        arrival = math.max(arrival, math.min(mark, now)) + interval
      end
    end
  end
  local life = math.max(arrival_with_holds() - now, added > 0 and start + window - now or 0)
  if #holds > 0 then
    life = math.max(life, under_way)
  end
  local numbers = {arrival, start, added, spent}
  for _, hold in ipairs(holds) do
    numbers[#numbers + 1] = hold
  end
  save(numbers, life)
  return reply
end

-- A guard: theoretical arrival time of failures; guarded until; slot, attempts under way in it and in the one before.
local guard_operations = {enter_guard = true, peek_guard = true, leave_guard = true, keep_guard = true}
if guard_operations[operation] then
  local state = load()
  local arrival, guarded_until = state[1] or 0, state[2] or 0
  local slot, current, previous = state[3] or 0, state[4] or 0, state[5] or 0
  local guard, slot_length = argument(1), argument(2)
  arrival = math.min(arrival, now + guard)
  guarded_until = math.min(guarded_until, now + guard)
  local slot_now = math.floor(now / slot_length)
  if slot_now == slot + 1 then
    slot, current, previous = slot_now, 0, current
  elseif slot_now ~= slot then
    slot, current, previous = slot_now, 0, 0
  end
  local reply
  if operation == 'enter_guard' then
    local most = argument(3)
    local open = guarded_until <= now and current + previous < most
    current = current + 1
    reply = {open and 1 or 0, 0, 0, slot, 0}
  elseif operation == 'peek_guard' then
    reply = {guarded_until <= now and 1 or 0, 0, 0, 0, 0}
  else
    local mark = argument(3)
    if mark == slot then
      current = math.max(0, current - 1)
    elseif mark + 1 == slot then
      previous = math.max(0, previous - 1)
    end
    local raised = 0
    if operation == 'keep_guard' then
      local burst, interval = argument(4), argument(5)
      arrival = math.min(arrival, now + burst * interval)
      local next_arrival = math.max(arrival, now) + interval
      if next_arrival - now - burst * interval <= 0 then
        arrival = next_arrival
      else
        raised = guarded_until <= now and 1 or 0
        guarded_until = now + guard
      end
    end
    reply = {1, raised, 0, 0, 0}
  end
  local under_way = current + previous > 0 and 2 * slot_length or 0
  save({arrival, guarded_until, slot, current, previous}, math.max(arrival - now, guarded_until - now, under_way))
  return reply
end

return redis.error_reply('ERR unknown limiter operation')
