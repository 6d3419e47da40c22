-- Consistency groups: who counts the votes.

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
