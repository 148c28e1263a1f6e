-- Outcomes that lie ready for an asker, oldest first.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     asker, limit (from the third on)
-- returns  [entry, msgpack [id, outcome, at], entry, ...]

local found = {}
for _, entry in ipairs(call('ZRANGE', base .. 'order:' .. ARGV[3], 0, tonumber(ARGV[4]) - 1)) do
  found[#found + 1] = entry
  found[#found + 1] = call('HGET', base .. 'answers:' .. ARGV[3], entry)
end
return found
