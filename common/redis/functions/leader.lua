-- The leader: term, epoch, holds, pins. Each takes the term first and refuses a lower one.

local function deposed(term)
  term_known = term_known or number(redis.call('GET', 'fs:term'))
  term = tonumber(term)
  if term > term_known then
    redis.call('SET', 'fs:term', term)
    term_known = term
  end
  return term < term_known
end

local function term(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  return { 'OK' }
end

local function leader(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  redis.call('SET', 'fs:leader', a[1] .. ' ' .. a[2], 'PX', 9000)
  return { 'OK' }
end

-- Asks the server itself: between the leader's look at it and now, another may have taken its place.
local function epoch(_, a)
  local n, run_id = a[2], a[3]
  if deposed(a[1]) then
    return { 'TERM' }
  end
  if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= run_id then
    return { 'RUN' }
  end
  local before = redis.call('GET', 'fs:epoch')
  if before and tonumber(string.match(before, '^%d+')) > tonumber(n) then
    return { 'OLD' }
  end
  if before ~= n .. ':' .. run_id then
    redis.call('SET', 'fs:epoch', n .. ':' .. run_id)
    redis.call('SET', 'fs:epoch:at', now_ms())
  end
  return { 'OK' }
end

-- Writes pairs or members in portions: unpack has a limit.
local function write_all(command, key, a, from)
  for first = from, #a, 1000 do
    redis.call(command, key, unpack(a, first, math.min(first + 999, #a)))
  end
end

local function hold(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  redis.call('DEL', 'fs:hold')
  write_all('HSET', 'fs:hold', a, 2)
  return { 'OK' }
end

local function pins(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  redis.call('DEL', 'fs:pin:' .. a[2])
  write_all('SADD', 'fs:pin:' .. a[2], a, 3)
  redis.call(a[3] and 'SADD' or 'SREM', 'fs:pins', a[2])
  return { 'OK' }
end

-- term key...: all keys that have pins. What others have is left over.
local function pins_of(_, a)
  if deposed(a[1]) then
    return { 'TERM' }
  end
  local keep = {}
  for i = 2, #a do
    keep[a[i]] = true
  end
  for _, key in ipairs(redis.call('SMEMBERS', 'fs:pins')) do
    if not keep[key] then
      redis.call('DEL', 'fs:pin:' .. key)
      redis.call('SREM', 'fs:pins', key)
    end
  end
  return { 'OK' }
end
