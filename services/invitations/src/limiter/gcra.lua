-- The limiter's counters. Mirrors state.rs and user_log.rs; one conformance suite holds both to it. One key a call, so
-- that it runs on a Redis Cluster. Times are microseconds, below 2^53. redis.rs defines DAY, UNDER_WAY, WINDOW, SLOT.
-- KEYS[1]  the counter's key
-- ARGV     the kind of counter; the step; the time, in tests only: empty means Redis's own; the mark and the effect of
--          a step that settles; the numbers of the counter's limit
-- Replies  {allowed, count, retry_micros, mark, settled}
local key, kind, step = KEYS[1], ARGV[1], ARGV[2]
local now, mark, effect = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function limit(index)
  return tonumber(ARGV[index + 5])
end

local function load()
  local numbers = {}
  for number in string.gmatch(redis.call('GET', key) or '', '%-?%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

-- No state says anything a day after its last step; then the key goes by itself.
local function save(numbers)
  local parts = {}
  for index, number in ipairs(numbers) do
    parts[index] = string.format('%.0f', number)
  end
  redis.call('SET', key, table.concat(parts, ' '), 'PX', DAY / 1000)
end

-- The GCRA of the limit whose burst is the number at this index, and whose interval is the next one.
local function rate(index)
  local burst, interval = limit(index), limit(index + 1)
  local self = {burst = burst, interval = interval, depth = burst * interval}
  function self.after(arrival, time)
    return math.max(arrival, time) + interval
  end
  -- How long until one more charge fits; not above 0: at once.
  function self.wait(arrival)
    return self.after(arrival, now) - now - self.depth
  end
  return self
end

local function refused(wait)
  return {0, 0, math.max(wait, 1), 0, 0}
end

if step == 'clear' then
  redis.call('DEL', key)
  return {1, 0, 0, 0, 0}
end

-- A user: since when effects count, effects, the last first admission, when repeats are paid off, and from the fifth on
-- pairs of the time of a failure within a day, oldest first, negative: under way, and its guess.
local ENTRIES, REPEATS = 5, 4

local function is_settled(entry)
  return entry > 0 or math.abs(math.abs(entry) - now) >= UNDER_WAY
end

local function load_user()
  local state = load()
  local log = {state[1] or 0, state[2] or 0, state[3] or 0, state[4] or 0}
  if now >= log[1] + DAY or log[1] > now then
    log[1], log[2] = 0, 0
  end
  if now >= log[3] + DAY or log[3] > now then
    log[3] = 0
  end
  for index = ENTRIES, #state, 2 do
    local entry = state[index]
    local time = math.abs(entry)
    if is_settled(entry) then
      time = math.min(time, now)
    end
    if time > now - DAY then
      log[#log + 1] = entry > 0 and time or -time
      log[#log + 1] = state[index + 1]
    end
  end
  return log
end

-- How long until one more failure fits onto those of times; not above 0: at once.
local function wait_of_user(times, failures, daily)
  local forgotten_at = now
  local first = 1
  while true do
    local oldest = times[first] and times[first] + DAY
    if #times - first + 1 < daily then
      local arrival = 0
      for index = first, #times do
        arrival = failures.after(arrival, times[index])
      end
      local passes_at = math.max(forgotten_at, arrival + failures.interval - failures.depth)
      if not oldest or passes_at <= oldest then
        return passes_at - now
      end
    end
    forgotten_at = math.max(forgotten_at, oldest or now)
    first = first + 1
  end
end

local function charge_user(log, failures, repeats, daily, guess)
  local all, settled, known = {}, {}, false
  for index = ENTRIES, #log, 2 do
    local time = math.min(math.abs(log[index]), now)
    all[#all + 1] = time
    if is_settled(log[index]) then
      settled[#settled + 1] = time
    end
    known = known or (guess ~= 0 and log[index + 1] == guess)
  end
  local reply, polls = {1, 0, 0, 0, 0}, 0
  if known then
    -- No value reaches further, so a larger one means that the clock was set back.
    log[REPEATS] = math.min(log[REPEATS], now + repeats.depth)
    -- Who presses a few times is no poller.
    polls = math.max(math.ceil(math.max(log[REPEATS] - now, 0) / repeats.interval) - failures.burst, 0)
    local wait = repeats.wait(log[REPEATS])
    if wait > 0 then
      reply = refused(wait)
    else
      log[REPEATS] = repeats.after(log[REPEATS], now)
    end
  elseif wait_of_user(all, failures, daily) > 0 then
    reply = refused(wait_of_user(settled, failures, daily))
  else
    log[#log + 1] = -now
    log[#log + 1] = guess
    reply[4] = now
  end
  reply[2], reply[5] = #all + polls, #settled + polls
  return reply
end

-- Where the last failure under way of this mark and guess stands.
local function find_under_way(log, guess)
  for index = #log - 1, ENTRIES, -2 do
    if log[index] == -mark and log[index + 1] == guess then
      return index
    end
  end
end

local function refund_user(log, repeats, refunds, guess)
  local given_back = effect == 0 or log[2] < refunds
  if effect ~= 0 and given_back then
    if log[2] == 0 then
      log[1] = now
    end
    log[2] = log[2] + 1
  end
  local index = find_under_way(log, guess)
  if mark == 0 then
    log[REPEATS] = math.max(log[REPEATS] - repeats.interval, 0)
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
  return {1, is_first and 1 or 0, 0, 0, 0}
end

if kind == 'user' then
  local failures, repeats, daily, refunds, guess = rate(1), rate(3), limit(5), limit(6), limit(7)
  local log = load_user()
  local reply = {1, 0, 0, 0, 0}
  if step == 'charge' then
    reply = charge_user(log, failures, repeats, daily, guess)
  elseif step == 'refund' then
    reply = refund_user(log, repeats, refunds, guess)
  elseif step == 'keep' then
    local index = find_under_way(log, guess)
    if index then
      log[index] = mark
    end
  end
  -- Saved also when refused: what a clock set back made of it must stay.
  save(log)
  return reply
end

-- A bucket: theoretical arrival time of what is settled; start of the window of additions, additions, additions
-- spent; from the fifth on the times of charges under way, negative where additions pay.
if kind == 'bucket' then
  local HOLDS = 5
  local charges, additions_max = rate(1), limit(3)
  local state = load()
  local arrival, start = state[1] or 0, state[2] or 0
  local added, spent = state[3] or 0, state[4] or 0
  local over = now >= start + WINDOW or start > now
  if over then
    start, added, spent = 0, 0, 0
  end
  local holds = {}
  for index = HOLDS, #state do
    local hold = state[index]
    if hold > 0 or not over then
      -- What is never settled stays charged.
      if math.abs(math.abs(hold) - now) < UNDER_WAY then
        holds[#holds + 1] = hold
      elseif hold > 0 then
        arrival = charges.after(arrival, math.min(hold, now))
      end
    end
  end
  arrival = math.min(arrival, now + charges.depth)

  local function charge()
    local with_holds, gives_back = arrival, false
    for _, hold in ipairs(holds) do
      if hold > 0 then
        with_holds = charges.after(with_holds, math.min(hold, now))
      else
        gives_back = true
      end
    end
    local is_spent = charges.wait(with_holds) > 0
    if is_spent and spent >= added then
      return refused(gives_back and 0 or charges.wait(arrival))
    end
    local time = is_spent and -now or now
    if step == 'charge' then
      spent = spent + (is_spent and 1 or 0)
      holds[#holds + 1] = time
    elseif step == 'spend' then
      arrival = charges.after(arrival, now)
    end
    return {1, 0, 0, time, 0}
  end

  local function release()
    for index = #holds, 1, -1 do
      if holds[index] == mark then
        table.remove(holds, index)
        return true
      end
    end
  end

  local reply = {1, 0, 0, 0, 0}
  if step == 'charge' or step == 'spend' or step == 'peek' then
    reply = charge()
  elseif step == 'add' then
    if added == 0 then
      start = now
    end
    added = math.min(added + 1, additions_max)
  elseif release() then
    if step == 'refund' and mark < 0 then
      spent = math.max(0, spent - 1)
    elseif step == 'keep' and mark > 0 then
      arrival = charges.after(arrival, math.min(mark, now))
    end
  end
  local numbers = {arrival, start, added, spent}
  for _, hold in ipairs(holds) do
    numbers[#numbers + 1] = hold
  end
  save(numbers)
  return reply
end

-- A guard: theoretical arrival time of failures; guarded until; slot, attempts under way in it and in the one before.
if kind == 'guard' then
  local failures, in_flight_max = rate(1), limit(3)
  local state = load()
  local arrival, guarded_until = math.min(state[1] or 0, now + DAY), math.min(state[2] or 0, now + DAY)
  local slot, current, previous = state[3] or 0, state[4] or 0, state[5] or 0
  local slot_now = math.floor(now / SLOT)
  if slot_now == slot + 1 then
    slot, current, previous = slot_now, 0, current
  elseif slot_now ~= slot then
    slot, current, previous = slot_now, 0, 0
  end
  local closed = guarded_until > now
  local reply = {1, 0, 0, 0, 0}
  if step == 'charge' then
    local many = current + previous >= in_flight_max
    reply = {1, (closed or many) and 1 or 0, 0, slot, 0}
    current = current + 1
  elseif step == 'peek' then
    reply[2] = closed and 1 or 0
  else
    if mark == slot then
      current = math.max(0, current - 1)
    elseif mark + 1 == slot then
      previous = math.max(0, previous - 1)
    end
    if step == 'keep' then
      arrival = math.min(arrival, now + failures.depth)
      if failures.wait(arrival) <= 0 then
        arrival = failures.after(arrival, now)
      else
        guarded_until = now + DAY
        reply[2] = closed and 0 or 1
      end
    end
  end
  save({arrival, guarded_until, slot, current, previous})
  return reply
end

return redis.error_reply('ERR unknown counter')
