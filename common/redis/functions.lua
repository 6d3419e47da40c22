#!lua name=fleetsnap_1
--[[
What Redis decides for Fleetsnap, one function per decision. Redis guards consistency (one job per target, one run per job, limits); authority is the MAC's.

Rules of this file:
 - Time comes only from TIME, in milliseconds; clients' clocks never meet. A lock or slot has no expiry of Redis': whoever reads it compares.
 - Everything may be repeated. A client that had no answer cannot know whether the call ran, so the same call again gives the same answer.
 - A function that a leader calls takes its term first, refuses a lower one than the highest seen, and raises it.
 - Numbers are written as text made by %d: Redis' own way of writing a Lua number takes half a microsecond.
 - Answers are arrays; the first element is the word, the rest is for that word.

Keys (also in docs/protocol.md):
 fs:epoch             "n:run_id". Fits only the server run whose memory the leader has rebuilt; written last, so no lock is given before that.
 fs:epoch:at          when it was written
 fs:term              highest term of a leader
 fs:leader            a hint who leads, 9 s
 fs:job:<job>         hash: term host target deadline state owner journal token attempt phase done total heartbeat cancel control slots
 fs:lock:<target>     hash: owner ("host/job", empty: free) instance until fence parked (jobs that keep the target closed, one per line)
 fs:host:<host>       hash: instance boot directory version running space; gone when its claim has run out
 fs:sem:<name>        sorted set: job, by the time until which it holds a slot
 fs:space:<repo>      hash: job, "bytes until"
 fs:hold              hash: "all", "host:<host>", "target:<target>" and the reason
 fs:pin:<key>         set: restore points that nobody may take away
 fs:pins              set: the keys that have pins
 fs:barrier:<group>   hash, 1 h: members, passed (how many of the votes all have given), votes:<n>, until, first and last (when a guest
                      stood still), abort (why), job:<job> ("attempt vote time"). Gone or decided it cannot be begun again

The fence never falls: a token is above every one that was given, above the highest that the worker has seen (it has a journal, Redis may lose its memory),
and above epoch * 2^32, so tokens of a new epoch are above all of the old one. The last two come as one number, the least token that may be given.
Numbers stay below 2^53, where Lua's are exact.
]]

local EPOCH_STEP = 4294967296
local MONTH_MS = 2592000000
local RESERVED_MS = 600000
local TERMINAL = { SUCCEEDED = true, FAILED = true, CANCELLED = true, EXPIRED = true, REJECTED = true, PARKED = true }

-- What does not change during a call, and is asked once even when it carries many jobs: forgotten by every call.
local now_known, term_known, epoch_known, nothing_held

local function forget()
  now_known, term_known, epoch_known, nothing_held = nil, nil, nil, nil
end

local function now_ms()
  if not now_known then
    local time = redis.call('TIME')
    now_known = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
  end
  return now_known
end

local function number(text)
  return tonumber(text or 0) or 0
end

local function present(text)
  return text and text ~= ''
end

-- Of a list with one name per line.
local function lines(text)
  return string.gmatch(text or '', '[^\n]+')
end

local function has_line(text, name)
  for line in lines(text) do
    if line == name then
      return true
    end
  end
  return false
end

local function without_line(text, name)
  local kept = {}
  for line in lines(text) do
    if line ~= name then
      kept[#kept + 1] = line
    end
  end
  return table.concat(kept, '\n')
end

-- ---- the leader ----

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

-- ---- tickets ----

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

-- ---- slots ----

-- The name of the first that is full without this job, or nil. Those of dead jobs are swept when they stand in the way.
local function full_slot(job, now, a, from)
  for i = from, #a, 2 do
    local key = 'fs:sem:' .. a[i]
    if redis.call('ZCOUNT', key, '(' .. now, '+inf') >= tonumber(a[i + 1]) then
      if number(redis.call('ZSCORE', key, job)) <= now then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        return a[i]
      end
    end
  end
end

local function take_slots(job, till, a, from)
  local names = {}
  for i = from, #a, 2 do
    redis.call('ZADD', 'fs:sem:' .. a[i], till, job)
    names[#names + 1] = a[i]
  end
  return table.concat(names, '\n')
end

-- ---- acquire, renew, finish ----

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
    return { 'OK', l[4] }
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
  return { 'OK', token }
end

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

-- ---- hosts ----

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

-- ---- space ----

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

-- ---- consistency groups ----

local VOTES = { ready = 1, reserved = 2, frozen = 3 }
local BARRIER_MS = 3600000
local RESERVE_MS = 5000

local function abort_group(key, why)
  redis.call('HSET', key, 'abort', why)
  redis.call('PEXPIRE', key, BARRIER_MS)
  return { 'ABORT', why }
end

-- Why this vote ends the group, or nil. A member that begins again has lost what it held; one that skips a vote, or finds nothing behind its
-- second, talks to a Redis that has forgotten the group.
local function vote_says(b, a, vote, mine)
  if b[1] and b[1] ~= a[4] then
    return 'its members do not agree on how many they are'
  end
  if mine.attempt and mine.attempt ~= a[3] then
    return 'job ' .. a[2] .. ' began again'
  end
  if vote > mine.vote + 1 or number(b[2]) < vote - 1 then
    return 'Redis has forgotten who was ready'
  end
end

-- Notes the vote. True if it was the last of its kind, which decides, once.
local function count_vote(key, a, vote, now)
  redis.call('HSET', key, 'members', a[4], 'job:' .. a[2], a[3] .. ' ' .. vote .. ' ' .. now)
  redis.call('PEXPIRE', key, BARRIER_MS)
  if vote == 3 then
    redis.call('HSETNX', key, 'first', now)
  end
  if redis.call('HINCRBY', key, 'votes:' .. vote, 1) < tonumber(a[4]) then
    return false
  end
  redis.call('HSET', key, 'passed', vote)
  if vote == 1 then
    redis.call('HSET', key, 'until', now + RESERVE_MS)
  elseif vote == 3 then
    redis.call('HSET', key, 'last', now)
  end
  return true
end

--[[
group job attempt members vote [why]
Votes: ready (locked and planned), reserved (still there, and an executor with it), frozen (its guest stands still); abort. The vote that makes all the
same is the decision: ON from then on for whoever gave or repeats it, WAIT before. Any abort ends the group, unless all are frozen: then each makes its
point by itself, and whoever judges the group hears of a failure otherwise (LATE).
]]
local function barrier(_, a)
  local key, now, vote = 'fs:barrier:' .. a[1], now_ms(), VOTES[a[5]]
  local b = redis.call('HMGET', key, 'members', 'passed', 'abort', 'until', 'job:' .. a[2])
  local passed, mine = number(b[2]), {}
  if b[3] then
    return { 'ABORT', b[3] }
  end
  if not vote then
    return passed == 3 and { 'LATE' } or abort_group(key, present(a[6]) and a[6] or 'a member gave up')
  end
  mine.attempt, mine.vote, mine.at = string.match(b[5] or '', '^(%S+) (%d) (%d+)$')
  mine.vote, mine.at = number(mine.vote), number(mine.at)
  local no = vote_says(b, a, vote, mine)
  if no then
    return passed == 3 and { 'ABORT', no } or abort_group(key, no)
  end
  if vote == 2 and passed < 2 and now > number(b[4]) then
    return abort_group(key, 'not all were there when it was to begin')
  end
  if vote > mine.vote then
    passed = count_vote(key, a, vote, now) and vote or passed
    mine.at = now
  end
  if passed < vote then
    return { 'WAIT' }
  end
  local times = vote == 3 and redis.call('HMGET', key, 'first', 'last') or {}
  return { 'ON', times[2] and times[2] - mine.at or 0, times[2] and times[2] - times[1] or 0 }
end

-- ---- many at once ----

-- What goes wrong with one job is its own answer.
local function answer_to(f, a)
  local ran, answer = pcall(f, nil, a)
  if ran then
    return answer
  end
  return { 'ERROR', type(answer) == 'table' and answer.err or tostring(answer) }
end

--[[
argc mask same... [others...]...: the same function for many jobs. The mask has a '1' for each argument that is the same for all; these come first, then
the others of each job. The answer is an array of what f answers.
]]
local function many(f)
  return function(_, b)
    local a, others, at = {}, {}, 2
    for i = 1, tonumber(b[1]) do
      if string.sub(b[2], i, i) == '1' then
        at = at + 1
        a[i] = b[at]
      else
        others[#others + 1] = i
        a[i] = ''
      end
    end
    local answers, count, last = {}, #others, #b
    while at < last do
      for i = 1, count do
        a[others[i]] = b[at + i]
      end
      at = at + count
      answers[#answers + 1] = answer_to(f, a)
    end
    return answers
  end
end

-- allow-oom: what ends jobs, stops them or keeps them from being run twice must work when memory is full.
local ALWAYS = { 'allow-oom' }
local functions = {
  { 'fs_term', term, ALWAYS },
  { 'fs_leader', leader, ALWAYS },
  { 'fs_epoch', epoch, ALWAYS },
  { 'fs_hold', hold, ALWAYS },
  { 'fs_pins', pins, ALWAYS },
  { 'fs_pins_of', pins_of, ALWAYS },
  { 'fs_ticket', ticket, {} },
  { 'fs_cancel', cancel, ALWAYS },
  { 'fs_control', control, ALWAYS },
  { 'fs_acquire', acquire, {} },
  { 'fs_renew', renew, ALWAYS },
  { 'fs_flags', flags, { 'no-writes' } },
  { 'fs_finish', finish, ALWAYS },
  { 'fs_claim', claim, ALWAYS },
  { 'fs_reserve', reserve, {} },
  { 'fs_unreserve', unreserve, ALWAYS },
  { 'fs_barrier', barrier, ALWAYS },
  { 'fs_ticket_many', many(ticket), {} },
  { 'fs_acquire_many', many(acquire), {} },
  { 'fs_finish_many', many(finish), ALWAYS },
}
for i = 1, #functions do
  local row = functions[i]
  local function callback(keys, a)
    forget()
    return row[2](keys, a)
  end
  redis.register_function({ function_name = row[1], callback = callback, flags = row[3] })
end
