-- For the scripts that read; stands between row.lua and them. The last argument of each is the epoch: a Redis that was
-- emptied has nothing to say, and that is not the same as nothing.

if call('HGET', KEYS[1], 'epoch') ~= ARGV[#ARGV] then
  return redis.error_reply('EMPTIED this partition has another epoch')
end

-- Rows with their frames.
local function with_rows(ids)
  local found = {}
  for at = 1, #ids, CHUNK do
    local last = math.min(at + CHUNK - 1, #ids)
    local rows = call('HMGET', base .. 'rows', unpack(ids, at, last))
    local frames = call('HMGET', base .. 'frames', unpack(ids, at, last))
    for index = 1, #rows do
      if rows[index] then
        found[#found + 1] = ids[at + index - 1]
        found[#found + 1] = rows[index]
        found[#found + 1] = frames[index] or ''
      end
    end
  end
  return found
end
