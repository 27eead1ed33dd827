import MIL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file read through the page cache: nothing is copied, and pages that are not touched are never loaded.
struct MappedFile {
    let path: String
    /// Keeps the mapping alive; tensors over the file hold it.
    let storage: Storage

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: storage.pointer, count: storage.byteCount) }

    init(_ path: String) throws {
        guard !path.utf8.contains(0) else { throw Failure(.notFound, "There is no file whose path holds a zero byte.") }
        // To open a device may change it, so its kind comes first; what the name stands for then is checked once it is open.
        if let kind = FileSystem.kind(path), kind != .file { throw MappedFile.irregular(path) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Failure(.notFound, "The file '\(path)' cannot be opened: \(FileSystem.lastError).", file: path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let count = Int(exactly: status.st_size)
        else { throw MappedFile.irregular(path) }
        self.path = path
        guard count > 0 else {
            storage = Storage(byteCount: 0)
            return
        }
        guard let pointer = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), pointer != MAP_FAILED else {
            throw Failure(
                .outOfMemory, "The file '\(path)' of \(count) bytes cannot be mapped: \(FileSystem.lastError).",
                file: path)
        }
        let address = UInt(bitPattern: pointer)
        storage = Storage(wrapping: pointer, byteCount: count, isMapped: true, origin: MappedFile.version(status)) {
            munmap(UnsafeMutableRawPointer(bitPattern: address), count)
        }
        guard !bytes.starts(with: MappedFile.pointerStart) else {
            throw Failure(
                .malformed,
                "'\(path)' is a Git LFS pointer, which stands for a file that was not downloaded; run 'git lfs pull' in its "
                    + "repository.", file: path)
        }
    }

    /// How a pointer begins that Git LFS leaves in place of a file.
    private static let pointerStart = Array("version https://git-lfs.github.com/spec/".utf8)

    private static func irregular(_ path: String) -> Failure {
        Failure(.malformed, "'\(path)' is not a regular file.", file: path)
    }

    /// The same for a file that need not be read.
    static func version(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw Failure(.notFound, "The file '\(path)' is not there: \(FileSystem.lastError).", file: path)
        }
        return version(status)
    }

    /// What changes whenever the file is written: device, number, size and times.
    private static func version(_ status: stat) -> String {
        #if canImport(Darwin)
            let times = [status.st_mtimespec, status.st_ctimespec]
        #else
            let times = [status.st_mtim, status.st_ctim]
        #endif
        let numbers = times.map { "\($0.tv_sec).\($0.tv_nsec)" }.joined(separator: " ")
        return "file \(status.st_dev) \(status.st_ino) \(status.st_size) \(numbers)"
    }
}
