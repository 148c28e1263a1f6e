-- Take the best claimable entries of a queue, also those of lapsed claims; none while it is paused.
-- Entries of types that are not wanted stay where they are; those without a type are everybody's.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     limit, now, until, holder (from the third on); msgpack of the types wanted, or '' for all; the score in `ready`
--          up to which a look for them has come, or ''
-- returns  msgpack [score up to which it has come now, or '' when it was through; id, frame, priority, attempt, token, id, frame, ...]
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
local ids, behind = {}, ''
if ARGV[7] == '' then
  ids = call('ZRANGE', base .. 'ready', 0, limit - 1)
  fetch(ids)
else
  -- The head is looked at in every call, for what comes there; the rest a piece at a time, in turn.
  local HEAD, PIECE = 100, 1000
  local wanted, picked = {}, {}
  for _, type_ in ipairs(cmsgpack.unpack(ARGV[7])) do
    wanted[type_] = true
  end
  local function pick(found)
    fetch(found)
    for at, id in ipairs(found) do
      if #ids >= limit then
        return at - 1
      end
      local type_ = item_of(id)[TYPE] or ''
      if not picked[id] and (type_ == '' or wanted[type_]) then
        picked[id] = true
        ids[#ids + 1] = id
      end
    end
    return #found
  end
  local head = call('ZRANGE', base .. 'ready', 0, HEAD - 1)
  pick(head)
  behind = ARGV[8]
  if #head < HEAD then
    behind = ''
  elseif #ids < limit then
    if behind == '' then
      behind = string.format('%.0f', call('ZSCORE', base .. 'ready', head[HEAD]))
    end
    local piece = call('ZRANGEBYSCORE', base .. 'ready', '(' .. behind, '+inf', 'LIMIT', 0, PIECE)
    local looked = pick(piece)
    if looked == #piece and #piece < PIECE then
      behind = ''
    elseif looked > 0 then
      behind = string.format('%.0f', call('ZSCORE', base .. 'ready', piece[looked]))
    end
  end
end
local claims, frames = {behind}, values_of('frames', ids)
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
