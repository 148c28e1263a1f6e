-- Unsettled envelopes of one partition that hold a position, in its order.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV     after (position), limit, guild ('': all)
-- returns  [id, row, frame, id, row, frame, ...]

local after, limit, guild = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local ids
if guild == '' then
  ids = call('ZRANGEBYSCORE', base .. 'placed', '(' .. ARGV[1], '+inf', 'LIMIT', 0, limit)
else
  local start = led(guild)
  local found = {}
  local members = call('ZRANGEBYLEX', base .. 'lanes', '[' .. start, '(' .. start .. '\255')
  local all = {}
  for at, member in ipairs(members) do
    -- L(guild) L(subject) L(type) flag hex(ordinal) id
    local stop = #start
    for _ = 1, 2 do
      local size = string.match(member, '^%d+', stop + 1)
      stop = stop + #size + 1 + tonumber(size)
    end
    all[at] = string.sub(member, stop + 16)
  end
  for at = 1, #all, CHUNK do
    local last = math.min(at + CHUNK - 1, #all)
    for index, position in ipairs(call('ZMSCORE', base .. 'placed', unpack(all, at, last))) do
      position = tonumber(position or 0)
      if position > after then
        found[#found + 1] = {position, all[at + index - 1]}
      end
    end
  end
  table.sort(found, function(one, other) return one[1] < other[1] end)
  ids = {}
  for at = 1, math.min(limit, #found) do
    ids[at] = found[at][2]
  end
end
return with_rows(ids)
