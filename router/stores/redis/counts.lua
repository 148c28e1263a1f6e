-- Counts per queue in one partition.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- returns  [queue, msgpack [pending, processing, completed, failed, dead], hex(time of the oldest pending) or '', ...]

local found = {}
local all = call('HGETALL', base .. 'counts')
for at = 1, #all, 2 do
  local start = led(all[at])
  local oldest = call('ZRANGEBYLEX', base .. 'waiting', '[' .. start, '(' .. start .. '\255', 'LIMIT', 0, 1)[1]
  found[#found + 1] = all[at]
  found[#found + 1] = all[at + 1]
  found[#found + 1] = oldest and string.sub(oldest, #start + 1, #start + 14) or ''
end
return found
