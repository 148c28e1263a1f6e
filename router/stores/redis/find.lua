-- Envelopes of one partition by their ids, in whatever state.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     ids, then the epoch
-- returns  [id, row, frame, id, row, frame, ...] of those that are known

local ids = {}
for at = 1, #ARGV - 1 do
  ids[at] = ARGV[at]
end
return with_rows(ids)
