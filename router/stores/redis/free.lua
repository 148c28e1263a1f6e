-- The claims of a holder that is gone lapse.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV     holder; the channel on which is said that something came (from the third on)
-- returns  how many
--
-- Idempotent.

local freed = 0
for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'claimed', '(0', '+inf')) do
  local item = item_of(id)
  if item[HOLDER] == ARGV[3] then
    item[UNTIL] = 0
    zadd('claimed', 0, id)
    keep(id, item)
    freed = freed + 1
  end
end
flush()
if freed > 0 then
  call('PUBLISH', ARGV[4], '')
end
return freed
