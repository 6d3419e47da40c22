-- A run ends.

-- What finish does to the lock, for a job in this state. True if a higher token was given meanwhile.
local function release(a, state, l, token)
  local key, owner = 'fs:lock:' .. a[3], a[2] .. '/' .. a[1]
  local higher = token > 0 and number(l[2]) > token
  if l[1] == owner and not higher then
    redis.call('HSET', key, 'owner', '')
  end
  if state == 'PARKED' then
    close_target(a[3], a[1])
  elseif state ~= '' and present(l[3]) then
    redis.call('HSET', key, 'parked', without_line(l[3], a[1]))
  end
  return higher
end

-- The ticket's end. One that memory loss has taken is left as a bare end, which the rebuilt ticket then keeps.
local function end_ticket(key, t, state, token)
  if state == '' then
    if t[1] then
      redis.call('HSET', key, 'state', 'WAITING')
    end
    return
  end
  redis.call('HSET', key, 'state', state)
  if not t[1] then
    redis.call('HSET', key, 'token', token)
  end
  if state == 'PARKED' then
    redis.call('PERSIST', key)
  elseif not t[1] or t[2] == 'PARKED' then
    redis.call('PEXPIRE', key, MONTH_MS)
  end
end

-- Not that of a job that was given none, unless it is or was PARKED.
local function touches_lock(t, state, token)
  return token > 0 or number(t[3]) > 0 or t[2] == 'PARKED' or state == 'PARKED'
end

-- job host target token state [slot]...
local function finish(_, a)
  local key = 'fs:job:' .. a[1]
  local token, state = tonumber(a[4]), a[5]
  local t = redis.call('HMGET', key, 'host', 'state', 'token', 'slots')
  if token > 0 and number(t[3]) > token then
    return { 'STALE' }
  end
  if present(t[4]) then
    for name in lines(t[4]) do
      redis.call('ZREM', 'fs:sem:' .. name, a[1])
    end
  end
  for i = 6, #a do
    redis.call('ZREM', 'fs:sem:' .. a[i], a[1])
  end
  local resolved = t[2] == 'PARKED' and state ~= 'PARKED' and state ~= ''
  local ended = TERMINAL[t[2]] and not resolved
  if ended then
    state = t[2] == 'PARKED' and 'PARKED' or ''
  end
  local higher = touches_lock(t, state, token) and
    release(a, state, redis.call('HMGET', 'fs:lock:' .. a[3], 'owner', 'fence', 'parked'), token)
  if ended then
    return { 'DUP', t[2] }
  end
  end_ticket(key, t, state, a[4])
  return { higher and 'STALE' or 'OK' }
end
