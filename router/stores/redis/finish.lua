-- Ends of claims, with what came of them: entry, execution and outcome in one step.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, how many done entries to keep, how many outcomes for one asker,
--            [entry, token, id, outcome, asker, remember (-1: nobody knows yet how it ended), done], ...]
-- ARGV[4]  the channel on which an asker is told that an outcome lies ready, without its name
-- returns  msgpack of a boolean for each: false: the claim was lost
--
-- Idempotent by entry and token; by the receipt where the entry left no trace. The rule is that of actors/workers.py,
-- Finish.

local again = answered()
if again then
  return again
end
local order = cmsgpack.unpack(ARGV[3])
local now, results, told, entries, ids = order[1], {}, {}, {}, {}
for at = 4, #order do
  entries[at - 3], ids[at - 3] = order[at][1], order[at][3]
end
fetch(entries)
fetch_executions(ids)
for at = 4, #order do
  local entry, token, id, outcome, asker = order[at][1], order[at][2], order[at][3], order[at][4], order[at][5]
  local known = execution_of(id)
  if known and known[6] == 0 and known[1] == entry and known[2] == token then
    if order[at][6] == 1 then
      known[6], known[7] = now, outcome
      put_execution(id, known, now)
    elseif order[at][6] == 0 then
      drop_execution(id)
    end
  end
  local item = item_of(entry)
  local holds = item and item[TOKEN] == token and (item[STATE] == CLAIMED or item[STATE] == DONE)
  if holds and item[STATE] == CLAIMED then
    if order[at][7] == 1 then
      complete(entry, item, now)
    else
      take(entry, item)
      drop(entry)
      used = now
    end
    if asker ~= '' then
      local numbers = told[asker] or {}
      numbers[#numbers + 1], numbers[#numbers + 2] = following('answer'), entry
      told[asker] = numbers
      hset('answers:' .. asker, entry, {id, outcome, now})
      zadd('lying', now, lying_as(asker, entry))
    end
  end
  results[at - 3] = holds and true or false
end
trim('done', order[2])
for asker, numbers in pairs(told) do
  for first = 1, #numbers, WIDE do -- who lies there already keeps its place
    call('ZADD', base .. 'order:' .. asker, 'NX', unpack(numbers, first, math.min(first + WIDE - 1, #numbers)))
  end
  local over = call('HLEN', base .. 'answers:' .. asker) - order[3]
  if over > 0 then
    for _, oldest in ipairs(call('ZRANGE', base .. 'order:' .. asker, 0, over - 1)) do
      drop_answer(asker, oldest)
    end
    flush()
  end
  call('PUBLISH', ARGV[4] .. asker, '')
end
return answer(results)
