-- What one partition's trail has of one envelope besides its last end: notes, and ends that a replay followed.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     id, limit
-- ARGV[#]  the epoch, as of all scripts that read
-- returns  [hex(line), text, former, ...], newest line first; one of text and former is ''

local start = led(ARGV[1])
local upto = '(' .. start .. '\255'
local found = {}
for _, member in ipairs(call('ZREVRANGEBYLEX', base .. 'noteof', upto, '[' .. start, 'LIMIT', 0, tonumber(ARGV[2]))) do
  local line, digest = string.sub(member, #start + 1, #start + 14), string.sub(member, #start + 15)
  found[#found + 1] = line
  found[#found + 1] = digest ~= '' and call('HGET', base .. 'texts', digest) or ''
  found[#found + 1] = digest == '' and call('HGET', base .. 'former', line) or ''
end
return found
