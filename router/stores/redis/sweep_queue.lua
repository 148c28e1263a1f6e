-- Forget failed entries that are too many or too old, executions and outcomes past their time; some at a time.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     limit; how many failed entries may stay, time at or before which one goes; how many executions may stay,
--          time at or before which one goes; time at or before which an outcome goes (from the third on)
-- returns  msgpack: how many
--
-- Idempotent: what is forgotten is not there to be forgotten again.

local limit, most, edge = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local over, swept = call('ZCARD', base .. 'failed') - most, 0
for at, id in ipairs(call('ZRANGE', base .. 'failed', 0, limit - 1)) do
  local item = item_of(id)
  if at > over and item and item[ENDED] > edge then
    break
  end
  zrem('failed', id)
  drop(id)
  swept = swept + 1
end
over = call('ZCARD', base .. 'words') - tonumber(ARGV[6])
if swept < limit then
  local words = call('ZRANGE', base .. 'words', 0, limit - swept - 1, 'WITHSCORES')
  for at = 1, #words, 2 do
    if (at + 1) / 2 > over and tonumber(words[at + 1]) > tonumber(ARGV[7]) then
      break
    end
    drop_execution(words[at])
    swept = swept + 1
  end
end
if swept < limit then
  for _, member in ipairs(call('ZRANGEBYSCORE', base .. 'lying', '-inf', ARGV[8], 'LIMIT', 0, limit - swept)) do
    local size = string.match(member, '^%d+')
    local stop = #size + 1 + tonumber(size)
    drop_answer(string.sub(member, #size + 2, stop), string.sub(member, stop + 1))
    swept = swept + 1
  end
end
flush()
return cmsgpack.pack(swept)
