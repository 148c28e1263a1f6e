-- Lines of one partition's trail, newest first.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     which ('ended', 'past' or 'notes'), latest and earliest time as ZREVRANGEBYSCORE takes them, offset, limit
-- returns  [at, hex(line), id, row, frame, former, ...] of ends, former '' unless a replay followed;
--          [at, hex(line), text, ...] of notes

local which = ARGV[1]
local lines = call('ZREVRANGEBYSCORE', base .. which, ARGV[2], ARGV[3], 'WITHSCORES', 'LIMIT', ARGV[4], ARGV[5])
local found = {}
for at = 1, #lines, 2 do
  local member = lines[at]
  found[#found + 1] = lines[at + 1]
  found[#found + 1] = string.sub(member, 1, 14)
  if which == 'notes' then
    found[#found + 1] = call('HGET', base .. 'texts', string.sub(member, 15)) or ''
  else
    local id = string.sub(member, 15)
    found[#found + 1] = id
    found[#found + 1] = call('HGET', base .. 'rows', id) or ''
    found[#found + 1] = call('HGET', base .. 'frames', id) or ''
    found[#found + 1] = call('HGET', base .. 'former', string.sub(member, 1, 14)) or ''
  end
end
return found
