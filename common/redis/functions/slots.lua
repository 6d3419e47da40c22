-- Slots: limits that many jobs share.

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
