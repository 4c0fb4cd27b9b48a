-- The limiter's transitions. Mirrors state.rs line by line; one conformance suite holds both to it.
-- One key a call, so that it runs on a Redis Cluster. Times are microseconds, below 2^53.
-- KEYS[1]  the subject's key
-- ARGV[1]  the operation;  ARGV[2]  the time, in tests only: empty means Redis's own
-- Replies  {allowed, count, retry_micros, mark}
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
    for number in string.gmatch(text, '%d+') do
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

-- A user: the times of the failures of the last day, oldest first.
local function user_log(day)
  local log = {}
  for _, time in ipairs(load()) do
    time = math.min(time, now)
    if time > now - day then
      log[#log + 1] = time
    end
  end
  return log
end

if operation == 'charge_user' then
  local burst, interval, daily, day = argument(1), argument(2), argument(3), argument(4)
  local log = user_log(day)
  local failures = #log
  local arrival = 0
  for _, time in ipairs(log) do
    arrival = math.max(arrival, time) + interval
  end
  local retry = math.max(arrival, now) + interval - (now + burst * interval)
  if failures >= daily then
    retry = math.max(retry, log[failures - daily + 1] + day - now)
  end
  if retry > 0 then
    -- Saved all the same: what a clock set back made of it must stay.
    save(log, log[failures] + day - now)
    return {0, failures, retry, 0}
  end
  log[failures + 1] = now
  save(log, day)
  return {1, failures, 0, now}
end

if operation == 'refund_user' then
  local mark, day = argument(1), argument(2)
  local log = user_log(day)
  for index = #log, 1, -1 do
    if log[index] == mark then
      table.remove(log, index)
      break
    end
  end
  save(log, #log > 0 and log[#log] + day - now or 0)
  return {1, #log, 0, 0}
end

-- A bucket: theoretical arrival time; start of the window of additions, additions, additions spent.
if operation == 'charge_bucket' or operation == 'refund_bucket' or operation == 'add_to_bucket' then
  local state = load()
  local arrival, start = state[1] or 0, state[2] or 0
  local added, spent = state[3] or 0, state[4] or 0
  local window = argument(1)
  arrival = math.min(arrival, now + window)
  if now >= start + window or start > now then
    start, added, spent = 0, 0, 0
  end
  local reply
  if operation == 'charge_bucket' then
    local burst, interval = argument(2), argument(3)
    arrival = math.min(arrival, now + burst * interval)
    local next_arrival = math.max(arrival, now) + interval
    local over = next_arrival - now - burst * interval
    if over <= 0 then
      arrival = next_arrival
      reply = {1, 0, 0, arrival}
    elseif spent < added then
      spent = spent + 1
      reply = {1, 0, 0, 0}
    else
      reply = {0, 0, over, 0}
    end
  elseif operation == 'refund_bucket' then
    local mark, interval = argument(2), argument(3)
    if mark == 0 then
      spent = math.max(0, spent - 1)
    else
      arrival = math.max(0, arrival - math.max(0, math.min(interval, mark - now)))
    end
    reply = {1, 0, 0, 0}
  else
    local most = argument(2)
    if added == 0 then
      start = now
    end
    added = math.min(added + 1, most)
    reply = {1, added, 0, 0}
  end
  local life = math.max(arrival - now, added > 0 and start + window - now or 0)
  save({arrival, start, added, spent}, life)
  return reply
end

-- A guard: theoretical arrival time of failures; guarded until; slot, attempts under way in it and in the one before.
if operation == 'enter_guard' or operation == 'leave_guard' or operation == 'keep_guard' then
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
    reply = {open and 1 or 0, 0, 0, slot}
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
    reply = {1, raised, 0, 0}
  end
  local under_way = current + previous > 0 and 2 * slot_length or 0
  save({arrival, guarded_until, slot, current, previous}, math.max(arrival - now, guarded_until - now, under_way))
  return reply
end

return redis.error_reply('ERR unknown limiter operation')
