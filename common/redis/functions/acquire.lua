-- A run begins: ticket, hold, slots and lock in one call.

-- Why this job may not have the lock `l`: a PARKED job closes the target; another job's lock; or another instance of our worker, which is
-- dead if the host's claim is ours by now, for a claim passes only from a dead one.
local function lock_says(l, a, owner, now)
  if present(l[5]) and not has_line(l[5], a[1]) then
    return { 'REFUSED', 'target is closed by a parked job: ' .. string.gsub(l[5], '\n', ' ') }
  end
  if present(l[1]) and number(l[3]) > now then
    if l[1] ~= owner or redis.call('HGET', 'fs:host:' .. a[2], 'instance') ~= a[3] then
      return { 'HELD', number(l[3]) - now, l[1] }
    end
  end
end

-- Why the ticket `t` lets nobody have this job, or nil. A parked one that was resolved goes on, to pay what it owes.
local function ticket_says(t, a, resolving)
  if TERMINAL[t[2]] and not resolving then
    return { 'TERMINAL', t[2] }
  end
  if not t[1] then
    return { 'NOTICKET' }
  end
  if t[1] ~= a[2] then
    return { 'REFUSED', 'the ticket is for host ' .. t[1] }
  end
  if a[6] == '2' and present(t[3]) and t[3] ~= a[5] then
    return { 'REFUSED', 'journal: it began under another one' }
  end
end

-- Why it must not start now, or nil.
local function start_says(t, now)
  if present(t[4]) then
    return { 'CANCELLED', t[4] }
  end
  if t[5] and t[5] ~= '0' and now > tonumber(t[5]) then
    return { 'EXPIRED' }
  end
end

local function hold_says(a)
  if nothing_held == nil then
    nothing_held = redis.call('EXISTS', 'fs:hold') == 0
  end
  if not nothing_held then
    local hold = redis.call('HMGET', 'fs:hold', 'all', 'host:' .. a[2], 'target:' .. a[4])
    local reason = hold[1] or hold[2] or hold[3]
    return reason and { 'HOLD', reason }
  end
end

-- A rate that was said before it began; nothing of what is said to jobs that run already.
local function rate_of(t)
  return string.sub(t[6] or '', 1, 5) == 'rate:' and t[6] or nil
end

--[[
job host instance target journal class epoch (as fs:epoch has it) least (token that may be given) attempt ttl goes_on [slot limit]...
goes_on: '1' for a job that began before its worker died. It does not start, so nothing that keeps from starting keeps it: neither a
cancel nor the deadline (it goes back, and needs the lock for that), nor a hold, nor a slot that another took while it was away.
A job that only reads and takes no slot has nothing that it could keep from others, so its ticket is left as it is: renew, after a second, and
finish say that it was there.
]]
local function acquire(_, a)
  if epoch_known == nil then
    epoch_known = redis.call('GET', 'fs:epoch')
  end
  if epoch_known ~= a[7] then
    return { 'EPOCH' }
  end
  local job_key = 'fs:job:' .. a[1]
  local t = redis.call('HMGET', job_key, 'host', 'state', 'journal', 'cancel', 'deadline', 'control')
  local resolving = t[2] == 'PARKED' and string.sub(t[6] or '', 1, 8) == 'resolve:'
  local no = ticket_says(t, a, resolving)
  if no then
    return no
  end

  local now = now_ms()
  local lock_key = a[6] ~= '0' and 'fs:lock:' .. a[4]
  local owner = lock_key and a[2] .. '/' .. a[1]
  local till = (lock_key or a[11]) and string.format('%d', now + a[10])
  local l = lock_key and redis.call('HMGET', lock_key, 'owner', 'instance', 'until', 'fence', 'parked') or {}
  if lock_key and l[1] == owner and l[2] == a[3] and number(l[3]) > now then
    redis.call('HSET', lock_key, 'until', till)
    take_slots(a[1], till, a, 12)
    return { 'OK', l[4], rate_of(t) }
  end
  local goes_on = a[11] == '1'
  no = not goes_on and (not resolving and start_says(t, now) or hold_says(a)) or lock_key and lock_says(l, a, owner, now)
  if no then
    return no
  end
  if a[12] then
    local full = not goes_on and full_slot(a[1], now, a, 12)
    if full then
      return { 'SLOTS', full }
    end
    redis.call('HSET', job_key, 'slots', take_slots(a[1], till, a, 12))
  end
  local token = '0'
  if lock_key then
    token = number(l[4]) < tonumber(a[8]) and a[8] or string.format('%d', l[4] + 1)
    redis.call('HSET', lock_key, 'owner', owner, 'instance', a[3], 'until', till, 'fence', token)
  end
  if lock_key or a[12] or resolving then
    redis.call('HSET', job_key, 'state', resolving and 'PARKED' or 'RUNNING', 'owner', a[3], 'journal', a[5],
      'token', token, 'attempt', a[9])
  end
  return { 'OK', token, rate_of(t) }
end
