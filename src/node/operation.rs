//! The kinds of calls, under the names by which they are counted here and traced in JavaScript (`lib/operations.js`).

macro_rules! operations {
    ($($operation:ident = $name:literal,)*) => {
        #[derive(Clone, Copy)]
        pub(super) enum Operation {
            $($operation,)*
        }

        /// The names, by the operations' numbers.
        pub(super) const OPERATIONS: &[&str] = &[$($name,)*];
    };
}

operations! {
    Connect = "connect",
    Ping = "ping",
    Acquire = "locks.acquire",
    Lock = "locks.lock",
    Extend = "locks.extend",
    Release = "locks.release",
    IsValid = "locks.isValid",
    Holder = "locks.holder",
    AssertHeld = "locks.assertHeld",
    ForceRelease = "locks.forceRelease",
    AcquirePermit = "semaphores.acquire",
    Holders = "semaphores.holders",
    GetState = "circuits.getState",
    SetState = "circuits.setState",
    RecordFailure = "circuits.recordFailure",
    RecordSuccess = "circuits.recordSuccess",
    TryProbe = "circuits.tryProbe",
    CacheGet = "cache.get",
    CacheSet = "cache.set",
    CacheDelete = "cache.delete",
    CacheGetMany = "cache.getMany",
    CacheSetMany = "cache.setMany",
    CacheDeleteMany = "cache.deleteMany",
    CacheTake = "cache.take",
    CacheIncrement = "cache.increment",
    CacheIncrementEntry = "cache.incrementEntry",
    CacheCompareAndSet = "cache.compareAndSet",
    CacheHas = "cache.has",
    CacheGetEntry = "cache.getEntry",
    CacheTouch = "cache.touch",
    CacheClear = "cache.clear",
    CacheKeys = "cache.keys",
    CacheStats = "cache.stats",
    CachePrune = "cache.prune",
    Save = "checkpoints.save",
    SaveMany = "checkpoints.saveMany",
    Load = "checkpoints.load",
    LoadLatest = "checkpoints.loadLatest",
    List = "checkpoints.list",
    ListTasks = "checkpoints.listTasks",
    Cleanup = "checkpoints.cleanup",
    DeleteAll = "checkpoints.deleteAll",
    ResultGet = "idempotency.get",
    ResultSet = "idempotency.set",
    ResultDelete = "idempotency.delete",
}
