-- Claims are given back, or failed for good.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, how many failed entries to keep, [id, token, retry_at, spent, error, dead], ...]
-- returns  msgpack of a boolean for each: false: the claim was lost
--
-- Idempotent by the token and what the entry says; by the receipt where it was forgotten at once.

local again = answered()
if again then
  return again
end
local order = cmsgpack.unpack(ARGV[3])
local now, results, failed_some = order[1], {}, false
for at = 3, #order do
  local nack = order[at]
  local id, retry_at, why, dead = nack[1], nack[3], nack[5], nack[6] == 1
  local item = item_of(id)
  if not item or item[TOKEN] ~= nack[2] or item[STATE] == DONE then
    results[#results + 1] = false
  elseif item[STATE] ~= CLAIMED then
    local failed = item[STATE] == FAILED
    results[#results + 1] = failed == dead and item[ERROR] == why and (failed or item[AVAILABLE] == retry_at)
  else
    if nack[4] == 0 then
      item[ATTEMPTS] = item[ATTEMPTS] - 1
    end
    if dead then
      fail(id, item, why, now)
      failed_some = true
    else
      take(id, item)
      item[ERROR], item[AVAILABLE] = why, retry_at
      wait(id, item, retry_at, now)
      keep(id, item)
    end
    results[#results + 1] = true
  end
end
flush()
if failed_some then
  trim('failed', order[2])
end
return answer(results)
