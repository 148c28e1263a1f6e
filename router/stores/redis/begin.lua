-- Workers are about to call their handlers.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, [entry, token, id, attempt, worker, entry and token that may be replaced, owner], ...]
-- returns  msgpack of each: true; false: the claim was lost; else the execution that is known:
--          [entry, token, attempt, worker, begun_at, ended_at, outcome, owner]
--
-- Idempotent by entry and token. The rule is that of actors/workers.py, Undertake.

local order = cmsgpack.unpack(ARGV[3])
local now, results, entries, ids = order[1], {}, {}, {}
for at = 2, #order do
  entries[at - 1], ids[at - 1] = order[at][1], order[at][3]
end
fetch(entries)
fetch_executions(ids)
for at = 2, #order do
  local entry, token, id, attempt, worker = order[at][1], order[at][2], order[at][3], order[at][4], order[at][5]
  local item = item_of(entry)
  if not item or item[STATE] ~= CLAIMED or item[TOKEN] ~= token then
    results[at - 1] = false
  else
    local known = execution_of(id)
    local over = known and known[1] == order[at][6] and known[2] == order[at][7]
    if known and known[1] == entry and known[2] == token and known[6] == 0 then
      results[at - 1] = true
    elseif known and not over then
      results[at - 1] = known
    else
      put_execution(id, {entry, token, attempt, worker, now, 0, '', order[at][8]}, now)
      results[at - 1] = true
    end
  end
end
flush()
return cmsgpack.pack(results)
