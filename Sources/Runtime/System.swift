// The few calls of the operating system that the runtime needs.

import MIL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package enum System {
    /// Seconds since 1970.
    static var seconds: Int { Int(time(nil)) }

    static var process: Int { Int(getpid()) }

    /// A number that no other running thread of this process has.
    static var thread: UInt {
        #if canImport(Darwin)
            UInt(bitPattern: pthread_self())
        #else
            UInt(pthread_self())
        #endif
    }

    package static func environment(_ name: String) -> String? {
        guard let chars = getenv(name) else { return nil }
        let text = String(cString: chars)
        return text.isEmpty ? nil : text
    }

    /// Writes a line to the error stream, in one piece.
    static func complain(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        #if canImport(Glibc)
            _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
        #elseif canImport(Musl)
            _ = Musl.write(STDERR_FILENO, bytes, bytes.count)
        #else
            _ = Darwin.write(STDERR_FILENO, bytes, bytes.count)
        #endif
    }

    static func sleep(nanoseconds: Int) {
        var left = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        var rest = timespec()
        while nanosleep(&left, &rest) != 0, errno == EINTR { left = rest }
    }

    package static var lastError: String { String(cString: strerror(errno)) }

    // MARK: Files and folders

    package struct Facts {
        package var isFolder: Bool
        package var bytes: Int
        /// Nanoseconds since 1970.
        package var modified: Int
    }

    /// What lies at a path, links not followed; nil where nothing does.
    package static func facts(_ path: String) -> Facts? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        #if canImport(Darwin)
            let time = status.st_mtimespec
        #else
            let time = status.st_mtim
        #endif
        return Facts(
            isFolder: status.st_mode & S_IFMT == S_IFDIR, bytes: Int(status.st_size),
            modified: Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec))
    }

    package static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes a folder and those above it; true where it is there in the end.
    static func makeFolders(_ path: String) -> Bool {
        if let facts = facts(path), facts.isFolder { return true }
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return true }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return false }
        return makeFolders(String(path[..<slash])) && (mkdir(path, 0o755) == 0 || errno == EEXIST)
    }

    /// A new folder of this process alone for temporary files; nil where the system gives none.
    static func temporaryFolder() -> String? {
        var template = Array((temporary + "/martlet-XXXXXX").utf8CString)
        return template.withUnsafeMutableBufferPointer { chars in
            chars.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
    }

    /// Where temporary files go: TMPDIR, if it is set. If not, the app's own folder on Apple's systems.
    private static var temporary: String {
        if let folder = environment("TMPDIR") { return folder }
        #if canImport(Darwin)
            var bytes = [CChar](repeating: 0, count: 1024)
            if (1...bytes.count).contains(confstr(_CS_DARWIN_USER_TEMP_DIR, &bytes, bytes.count)) {
                return bytes.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            }
        #endif
        return "/tmp"
    }

    static func rename(_ source: String, to target: String) -> Bool {
        #if canImport(Glibc)
            Glibc.rename(source, target) == 0
        #elseif canImport(Musl)
            Musl.rename(source, target) == 0
        #else
            Darwin.rename(source, target) == 0
        #endif
    }

    /// Removes a file, or a folder with all it holds; links are removed, not followed.
    package static func remove(_ path: String) {
        guard facts(path)?.isFolder == true else {
            unlink(path)
            return
        }
        for name in names(in: path) { remove(path + "/" + name) }
        rmdir(path)
    }

    /// Whether the disk of a folder has less than a megabyte, or no more files, to give.
    static func isFull(_ folder: String) -> Bool {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return false }
        return UInt64(status.f_bavail) &* UInt64(status.f_frsize) < 1 << 20
            || (status.f_files > 0 && status.f_favail == 0)
    }

    /// Marks something as used now.
    static func touch(_ path: String) { utimensat(AT_FDCWD, path, nil, 0) }

    static func write(_ text: String, to path: String) -> Bool {
        guard let file = fopen(path, "wx") else { return false }
        let isWritten = fputs(text, file) >= 0
        return fclose(file) == 0 && isWritten
    }

    /// The text of a small file.
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(validating: bytes[..<count], as: UTF8.self)
    }

    /// Calls `body` while this process alone holds the lock file; where the file system has no locks, without one.
    static func locked<Answer>(_ path: String, _ body: () throws -> Answer) rethrows -> Answer {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        defer { if descriptor >= 0 { close(descriptor) } }
        if descriptor >= 0 { while flock(descriptor, LOCK_EX) != 0, errno == EINTR {} }
        return try body()
    }
}
