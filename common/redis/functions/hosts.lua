-- Whose a host is, and how much of a repository its jobs reserve.

-- host instance boot directory version running space ttl locked
local function claim(_, a)
  local key = 'fs:host:' .. a[1]
  local c = redis.call('HMGET', key, 'instance', 'boot', 'directory')
  local successor = a[9] == '1' and c[2] == a[3] and c[3] == a[4]
  if c[1] and c[1] ~= a[2] and not successor then
    return { 'OTHER', c[1], redis.call('PTTL', key) }
  end
  redis.call('HSET', key, 'instance', a[2], 'boot', a[3], 'directory', a[4], 'version', a[5], 'running', a[6], 'space', a[7])
  redis.call('PEXPIRE', key, a[8])
  return { 'OK' }
end

-- repository job bytes free min_free. A reservation ends 10 minutes after it was last asked for; one that does not grow is never refused.
local function reserve(_, a)
  local key, now, bytes = 'fs:space:' .. a[1], now_ms(), tonumber(a[3])
  local all = redis.call('HGETALL', key)
  local others, mine = 0, 0
  for i = 1, #all, 2 do
    local size, till = string.match(all[i + 1], '^(%d+) (%d+)$')
    if number(till) <= now then
      redis.call('HDEL', key, all[i])
    elseif all[i] == a[2] then
      mine = number(size)
    else
      others = others + number(size)
    end
  end
  if bytes > mine and others + bytes + tonumber(a[5]) > tonumber(a[4]) then
    return { 'FULL', others + mine }
  end
  redis.call('HSET', key, a[2], a[3] .. ' ' .. (now + RESERVED_MS))
  return { 'OK', others + bytes }
end

-- repository job
local function unreserve(_, a)
  redis.call('HDEL', 'fs:space:' .. a[1], a[2])
  return { 'OK' }
end
