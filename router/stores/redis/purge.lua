-- Forget dead letters of one partition.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV[1]  msgpack [epoch, router, nonce, [id, position, id, position, ...]]
-- returns  how many of them were dead letters of these positions
-- errors   EMPTIED: the partition is not the one of this epoch; nothing is done
--
-- Idempotent by the receipt: sent again under the same nonce it answers the same.

local order = cmsgpack.unpack(ARGV[1])
if call('HGET', KEYS[1], 'epoch') ~= order[1] then
  return redis.error_reply('EMPTIED this partition has another epoch')
end
local receipt, nonce, letters = base .. 'receipt:' .. order[2], order[3], order[4]
local kept = call('GET', receipt)
if kept and string.sub(kept, 1, #nonce) == nonce then
  return tonumber(string.sub(kept, #nonce + 1))
end
local count = 0
for at = 1, #letters, 2 do
  local id = letters[at]
  if tonumber(call('ZSCORE', base .. 'dead', id) or -1) == letters[at + 1] then
    forget_letter(id, read_row(id))
    count = count + 1
  end
end
call('SET', receipt, nonce .. count, 'PX', 60000)
return count
