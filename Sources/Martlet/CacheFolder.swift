#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A folder for what Martlet keeps between runs. It is made when something is first written.
public struct CacheFolder: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// The user's: `MARTLET_CACHE`, else the system's place for caches. A failure where neither that nor a home is known.
    public static func ofUser() throws -> CacheFolder {
        if let root = DiskCache.root { return CacheFolder(path: root) }
        throw Failure(.notFound, "There is no folder for caches: set MARTLET_CACHE to one.")
    }

    /// The bytes of a file in the folder; nil where it is not there. Files above `limit` bytes are refused.
    func read(_ name: String, limit: Int) throws -> [UInt8]? {
        let path = path + "/" + name
        guard let file = fopen(path, "rb") else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw CacheFolder.failure(path, "read")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw Failure(.malformed, "'\(path)' is larger than \(limit) bytes.") }
            if count < chunk.count { break }
        }
        guard ferror(file) == 0 else { throw CacheFolder.failure(path, "read") }
        return bytes
    }

    /// Writes a file in the folder, whole or not at all, and returns its path.
    func write(_ text: String, to name: String) throws -> String {
        let path = path + "/" + name
        try CacheFolder.make(self.path)
        let part = "\(path).\(getpid()).\(nanoseconds())"
        guard let file = fopen(part, "wbx") else { throw CacheFolder.failure(path, "written") }
        let bytes = Array(text.utf8)
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count, rename(part, path) == 0 else {
            defer { unlink(part) }
            throw CacheFolder.failure(path, "written")
        }
        return path
    }

    /// Makes a folder, and those above it only where they are missing: an app may touch its own alone.
    private static func make(_ folder: String) throws {
        if mkdir(folder, 0o700) == 0 || errno == EEXIST || errno == EROFS { return }
        guard errno == ENOENT, let slash = folder.lastIndex(of: "/"), slash != folder.startIndex else {
            throw failure(folder, "made")
        }
        try make(String(folder[..<slash]))
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw failure(folder, "made") }
    }

    private static func failure(_ path: String, _ what: String) -> Failure {
        Failure(.invalidArgument, "'\(path)' cannot be \(what): \(String(cString: strerror(errno))).")
    }
}
