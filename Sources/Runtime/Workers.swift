// Threads for work that an asynchronous caller waits for. Swift's own pool is for work that never blocks, and a run may
// wait for a device for long.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Threads that are made when all others are busy, up to a limit, and kept.
public final class Workers: @unchecked Sendable {
    public static let shared = Workers(limit: 16)

    private let limit: Int
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let arrived: UnsafeMutablePointer<pthread_cond_t>
    // All below under the mutex.
    private var jobs: [() -> Void] = []
    private var idle = 0
    private var count = 0

    /// Lives as long as the process, like its threads.
    private init(limit: Int) {
        self.limit = limit
        mutex = .allocate(capacity: 1)
        arrived = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(arrived, nil)
        pthread_atfork(nil, nil) { Workers.shared.startAfresh() }
    }

    /// In the child of a fork: the threads are gone, and the mutex may be held by one of them.
    private func startAfresh() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(arrived, nil)
        (jobs, idle, count) = ([], 0, 0)
    }

    /// Calls `body` on one of the threads and waits for it without blocking this one. What is cancelled before it began
    /// is not begun; what has begun is finished.
    public func run<Answer: Sendable>(_ body: @escaping @Sendable () throws -> Answer) async throws -> Answer {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            add { continuation.resume(with: Result { try body() }) }
        }
    }

    private func add(_ job: @escaping () -> Void) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        let isShort = idle < jobs.count && count < limit
        if isShort { count += 1 }
        pthread_cond_signal(arrived)
        pthread_mutex_unlock(mutex)
        if isShort, !start() { finishAlone() }
    }

    /// Starts one more thread; false where the system gives none.
    private func start() -> Bool {
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let failed = pthread_create(
            &thread, nil,
            { _ in
                Workers.shared.work()
                return nil
            }, nil)
        guard failed == 0 else { return false }
        #if canImport(Darwin)
            if let thread { pthread_detach(thread) }
        #else
            pthread_detach(thread)
        #endif
        return true
    }

    /// Without a new thread the jobs wait for those there are or, where there are none, are done here.
    private func finishAlone() {
        pthread_mutex_lock(mutex)
        count -= 1
        let job = count == 0 && !jobs.isEmpty ? jobs.removeFirst() : nil
        pthread_mutex_unlock(mutex)
        job?()
    }

    private func work() {
        while true {
            pthread_mutex_lock(mutex)
            idle += 1
            while jobs.isEmpty { pthread_cond_wait(arrived, mutex) }
            idle -= 1
            let job = jobs.removeFirst()
            pthread_mutex_unlock(mutex)
            job()
        }
    }
}
