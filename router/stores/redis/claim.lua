-- Take the best claimable entries of a queue, also those of lapsed claims; none while it is paused.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     limit, now, until, holder (from the third on)
-- returns  msgpack [id, frame, priority, attempt, token, id, frame, ...]
--
-- Idempotent by the receipt: a claim sent again gets the same entries, not more.

local again = answered()
if again then
  return again
end
local limit, now, until_ = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local MANY = 1000 -- of what became due, lapsed or expired: so much is done in one call, the rest in the next

local late = {}
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'expiring', '-inf', '(' .. ARGV[4], 'LIMIT', 0, MANY)) do
  late[#late + 1] = {id, item_of(id)}
end
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'claimed', '-inf', now, 'LIMIT', 0, MANY)) do
  local item = item_of(id)
  if item[EXPIRES] ~= 0 and item[EXPIRES] < now then
    late[#late + 1] = {id, item}
  else
    zrem('claimed', id)
    zadd('ready', rank(item), id)
    if item[EXPIRES] ~= 0 then
      zadd('expiring', item[EXPIRES], id)
    end
  end
end
table.sort(late, function(one, other)
  if one[2][EXPIRES] ~= other[2][EXPIRES] then
    return one[2][EXPIRES] < other[2][EXPIRES]
  end
  return one[2][NUMBER] < other[2][NUMBER]
end)
for _, each in ipairs(late) do
  fail(each[1], each[2], 'expired', now)
end
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'delayed', '-inf', now, 'LIMIT', 0, MANY)) do
  local item = item_of(id)
  take(id, item)
  wait(id, item, item[AVAILABLE], now)
  keep(id, item)
end
flush()
if call('HGET', KEYS[1], 'paused') == '1' or limit < 1 then
  return answer({})
end
local claims, ids = {}, call('ZRANGE', base .. 'ready', 0, limit - 1)
local frames = values_of('frames', ids)
fetch(ids)
for at, id in ipairs(ids) do
  local item = item_of(id)
  take(id, item)
  item[STATE], item[ATTEMPTS], item[TOKEN], item[UNTIL] = CLAIMED, item[ATTEMPTS] + 1, following('token'), until_
  item[HOLDER] = ARGV[6]
  count('claimed', 1)
  zadd('claimed', until_, id)
  keep(id, item)
  local size = #claims
  claims[size + 1], claims[size + 2], claims[size + 3] = id, frames[at] or '', item[PRIORITY]
  claims[size + 4], claims[size + 5] = item[ATTEMPTS], item[TOKEN]
end
flush()
return answer(claims)
