-- What a client can call: each function, and some of them for many jobs at once.

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
