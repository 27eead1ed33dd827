// The few calls of the operating system that compiling and running kernels needs.

import MIL
import Runtime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension System {
    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 && size(of: path) != nil }

    /// Bytes of a plain file; nil where there is none.
    static func size(of path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            bytes += chunk[..<count]
            if count < chunk.count { return String(decoding: bytes, as: UTF8.self) }
        }
    }

    static func write(_ text: String, to path: String) throws {
        let bytes = Array(text.utf8)
        guard let file = fopen(path, "wb") else { throw unwritable(path) }
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else { throw unwritable(path) }
    }

    private static func unwritable(_ path: String) -> Failure {
        Failure(.invalidArgument, "'\(path)' cannot be written: \(lastError).")
    }

    /// Seconds since 1970 when a file was last used.
    static func modified(_ path: String) -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { return 0 }
        #if canImport(Darwin)
            return Int(status.st_mtimespec.tv_sec)
        #else
            return Int(status.st_mtim.tv_sec)
        #endif
    }

    static var processors: Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

    static var pageSize: Int { max(sysconf(Int32(_SC_PAGESIZE)), 4096) }

    /// What tells this processor's abilities from others'.
    static let processor: String = {
        #if canImport(Darwin)
            var (name, size) = ([UInt8](repeating: 0, count: 256), 256)
            sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0)
            return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        #else
            let lines = (read("/proc/cpuinfo") ?? "").split(separator: "\n")
            let keys = ["flags", "model name", "Features", "CPU part"]
            return keys.compactMap { key in lines.first { $0.hasPrefix(key) }.map(String.init) }.joined()
        #endif
    }()
}

#if os(Linux) || os(macOS)
    extension System {
        /// Runs a program without a shell, its error stream in a file, and answers its status.
        static func run(_ program: String, _ arguments: [String], errors: String) throws -> Int32 {
            #if canImport(Darwin)
                var actions: posix_spawn_file_actions_t?
            #else
                var actions = posix_spawn_file_actions_t()
            #endif
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            let chars: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
            defer { for each in chars { free(each) } }
            var child: pid_t = 0
            let answer = posix_spawn(&child, program, &actions, nil, chars, environ)
            guard answer == 0 else {
                throw Failure(
                    .unsupported, "'\(program)' cannot be started: \(String(cString: strerror(answer))).")
            }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 {
                // Where the host reaps its children itself, what was written tells how it went.
                guard errno == EINTR else { return 0 }
            }
            return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
        }
    }
#endif

/// Calls `body` for each of `count` numbers on threads of their own, the first on this thread; where the system has no
/// more threads, fewer numbers are called.
func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Work: Sendable {
        let body: @Sendable (Int) -> Void
        let number: Int
        init(_ body: @escaping @Sendable (Int) -> Void, _ number: Int) { (self.body, self.number) = (body, number) }
    }
    var threads: [pthread_t] = []
    for number in 1..<max(count, 1) {
        let work = Unmanaged.passRetained(Work(body, number))
        #if canImport(Darwin)
            var thread: pthread_t?
            let answer = pthread_create(&thread, nil, { runWork($0) }, work.toOpaque())
        #else
            var thread = pthread_t()
            let answer = pthread_create(&thread, nil, { $0.flatMap { runWork($0) } }, work.toOpaque())
        #endif
        guard answer == 0 else {
            work.release()
            break
        }
        #if canImport(Darwin)
            if let thread { threads.append(thread) }
        #else
            threads.append(thread)
        #endif
    }
    func runWork(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let work = Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue()
        work.body(work.number)
        return nil
    }
    body(0)
    for thread in threads { pthread_join(thread, nil) }
}
