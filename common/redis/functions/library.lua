#!lua name=fleetsnap_1
--[[
What Redis decides for Fleetsnap, one function per decision, a file for what belongs together: functions.c puts them behind this one. Redis guards consistency (one job per target, one run per job, limits); authority is the MAC's.

Rules of these files:
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
