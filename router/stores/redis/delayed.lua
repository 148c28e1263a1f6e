-- Unsettled envelopes of one partition that are not in their lane yet, by (due time, id).
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     due time and id above which to read, limit
-- returns  [id, row, frame, id, row, frame, ...]

local due, id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- Members of one score stand in the order of their bytes: the first one above is found by halves.
local low = call('ZCOUNT', base .. 'delayed', '-inf', '(' .. due)
local high = low + call('ZCOUNT', base .. 'delayed', due, due)
while low < high do
  local middle = math.floor((low + high) / 2)
  if call('ZRANGE', base .. 'delayed', middle, middle)[1] <= id then
    low = middle + 1
  else
    high = middle
  end
end
return with_rows(call('ZRANGE', base .. 'delayed', low, low + limit - 1))
