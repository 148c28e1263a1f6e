-- The epoch of partitions, given to those that have none.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV[1]  the epoch
-- returns  the epoch of each as it is now
--
-- Idempotent: what is there stays.

local found = {}
for at, key in ipairs(KEYS) do
  redis.call('HSETNX', key, 'epoch', ARGV[1])
  found[at] = redis.call('HGET', key, 'epoch')
end
return found
