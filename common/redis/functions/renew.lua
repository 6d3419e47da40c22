-- A run goes on, or gets its lock back.

--[[
A lock that ran out, or is not there, is taken back with its token: a higher fence would show that another had it since. After a loss of memory that proof
is gone. Then a holder that still trusts its lock may have it back, for nobody can have had it; so may one whose trust ran out only after
fs:epoch was written on this server, because from the loss to that moment no lock was given, and what was given since shows. Any other has lost it.
]]
local function may_take_back(token, run_id, run_out, now)
  if run_out == 0 then
    return true
  end
  local current = redis.call('GET', 'fs:epoch') or ''
  if current == math.floor(token / EPOCH_STEP) .. ':' .. run_id then
    return true
  end
  local written = number(redis.call('GET', 'fs:epoch:at'))
  return string.match(current, ':(%x+)$') == run_id and written > 0 and now - run_out >= written
end

-- OK, BACK, or LOST and why.
local function renew_lock(a, now)
  local token = tonumber(a[5])
  local key, owner = 'fs:lock:' .. a[4], a[2] .. '/' .. a[1]
  local l = redis.call('HMGET', key, 'owner', 'instance', 'until', 'fence')
  local fence = number(l[4])
  if fence > token then
    return 'LOST', 'a higher token was given, to ' .. (present(l[1]) and l[1] or 'a job that has ended')
  end
  if fence == token and l[1] == owner and number(l[3]) > now then
    if l[2] ~= a[3] then
      return 'LOST', 'another instance of this worker has it'
    end
    redis.call('HSET', key, 'until', now + tonumber(a[6]))
    return 'OK'
  end
  if not may_take_back(token, a[7], tonumber(a[8]), now) then
    return 'LOST', 'it had run out before Redis lost its memory'
  end
  redis.call('HSET', key, 'owner', owner, 'instance', a[3], 'until', now + tonumber(a[6]), 'fence', a[5])
  return 'BACK'
end

-- The first of these points that is pinned. Pins are known only once the leader has rebuilt them, which is before it writes fs:epoch.
local function pinned(a)
  if a[13] == '' then
    return nil
  end
  if string.match(redis.call('GET', 'fs:epoch') or '', ':(%x+)$') ~= a[7] then
    return 'UNSURE', 'the pins are not known yet'
  end
  for key in lines(a[12]) do
    for point in lines(a[13]) do
      if redis.call('SISMEMBER', 'fs:pin:' .. key, point) == 1 then
        return 'PINNED', point
      end
    end
  end
end

-- job host instance target token ttl run_id run_out_ms phase done total pins_key points slots; token 0 has no lock, but slots and flags
local function renew(_, a)
  local now = now_ms()
  local answer, detail = 'OK', nil
  if a[5] ~= '0' then
    answer, detail = renew_lock(a, now)
  end
  local key = 'fs:job:' .. a[1]
  local t = redis.call('HMGET', key, 'host', 'cancel', 'control', 'slots')
  if answer == 'LOST' then
    return { answer, t[2] or '', t[3] or '', detail }
  end
  for name in lines(a[14] ~= '' and a[14] or t[4]) do
    redis.call('ZADD', 'fs:sem:' .. name, now + tonumber(a[6]), a[1])
  end
  if t[1] then
    redis.call('HSET', key, 'phase', a[9], 'done', a[10], 'total', a[11], 'heartbeat', now)
  end
  local no, point = pinned(a)
  return { no or answer, t[2] or '', t[3] or '', point or detail or '' }
end

-- job
local function flags(_, a)
  local t = redis.call('HMGET', 'fs:job:' .. a[1], 'host', 'cancel', 'control')
  if not t[1] then
    return { 'NOTICKET' }
  end
  return { 'OK', t[2] or '', t[3] or '', '' }
end
