-- Tickets: what the leader lets a host do, and what it asks of a job that runs.

local function close_target(target, job)
  local key = 'fs:lock:' .. target
  local parked = redis.call('HGET', key, 'parked')
  if not has_line(parked, job) then
    redis.call('HSET', key, 'parked', present(parked) and parked .. '\n' .. job or job)
  end
end

-- A ticket that exists keeps what it says: of what the leader knows, only what can never be taken back is added (an end, a cancel,
-- a higher token, the journal).
local function add_to_ticket(key, state_before, a)
  local state, cancel, control, token, journal = a[6], a[7], a[8], a[9], a[10]
  local known = redis.call('HMGET', key, 'cancel', 'control', 'token', 'journal')
  redis.call('HSET', key, 'term', a[1])
  if TERMINAL[state] and not TERMINAL[state_before] then
    redis.call('HSET', key, 'state', state)
  end
  if cancel ~= '' and not present(known[1]) then
    redis.call('HSET', key, 'cancel', cancel)
  end
  if control ~= '' and not present(known[2]) then
    redis.call('HSET', key, 'control', control)
  end
  if tonumber(token) > number(known[3]) then
    redis.call('HSET', key, 'token', token)
  end
  if journal ~= '' and not present(known[4]) then
    redis.call('HSET', key, 'journal', journal)
  end
end

-- Empty fields are left out: they cost time and memory, and absent says the same. A worker that ended its job before this has left the end here.
local function new_ticket(key, state_before, a)
  redis.call('HSET', key, 'term', a[1], 'host', a[3], 'target', a[4], 'deadline', a[5])
  if a[6] .. a[7] .. a[8] .. a[10] ~= '' or a[9] ~= '0' then
    add_to_ticket(key, state_before, a)
    if a[6] ~= '' and not state_before then
      redis.call('HSET', key, 'state', a[6])
    end
  end
  local ended = TERMINAL[state_before] and state_before or TERMINAL[a[6]] and a[6]
  if ended == 'PARKED' or a[11] == '0' and not ended then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, a[11] ~= '0' and a[11] or MONTH_MS)
  end
end

-- term job host target deadline state cancel control token journal ttl
local function ticket(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  local key = 'fs:job:' .. a[2]
  local known = redis.call('EXISTS', key) == 1 and redis.call('HMGET', key, 'host', 'state') or {}
  if known[1] then
    add_to_ticket(key, known[2], a)
  else
    new_ticket(key, known[2], a)
  end
  if a[6] == 'PARKED' and (known[2] == 'PARKED' or not TERMINAL[known[2]]) then
    close_target(a[4], a[2])
    redis.call('PERSIST', key)
  end
  return { 'OK' }
end

-- term job who
local function cancel(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  local key = 'fs:job:' .. a[2]
  local known = redis.call('HMGET', key, 'host', 'cancel')
  if not known[1] then
    return { 'ABSENT' }
  end
  if not present(known[2]) then
    redis.call('HSET', key, 'cancel', a[3])
  end
  return { 'OK' }
end

-- term job word
local function control(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  local key = 'fs:job:' .. a[2]
  if redis.call('HEXISTS', key, 'host') == 0 then
    return { 'ABSENT' }
  end
  redis.call('HSET', key, 'control', a[3])
  return { 'OK' }
end
