// The few calls of the operating system that files need, with failures that name the path.

import MIL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum FileSystem {
    enum Kind { case file, folder, other }

    /// What lies at a path, symbolic links followed; nil where nothing does.
    static func kind(_ path: String) -> Kind? {
        guard !path.utf8.contains(0) else { return nil }
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .folder
        default: return .other
        }
    }

    /// Whether anything lies at a path, be it a link that leads nowhere.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return !path.utf8.contains(0) && lstat(path, &status) == 0
    }

    static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    /// A path made of names inside a folder, as it stands, so that names beside it are found beside it. It may not be
    /// absolute or go up; symbolic links on the way are followed unless refused, and must reach a file.
    static func resolve(
        _ relative: String, inside folder: String, called what: String, links: SymbolicLinks
    ) throws -> String {
        let parts = relative.split(separator: "/", omittingEmptySubsequences: false)
        guard !relative.isEmpty, !relative.utf8.contains(0), relative.utf8.first != UInt8(ascii: "/"),
            !parts.contains("..")
        else {
            throw Failure(.malformed, "The \(what) '\(relative)' must be a path inside the package, without '..'.")
        }
        let path = folder + "/" + relative
        if links == .refuse {
            try refuseLink(folder)
            var part = folder
            for name in parts where !name.isEmpty {
                part += "/" + name
                try refuseLink(part)
            }
        }
        switch kind(path) {
        case .file: return path
        case nil where isLink(path):
            throw Failure(
                .notFound,
                "The \(what) '\(relative)' is a symbolic link to a file that cannot be reached: \(lastError).")
        case nil: throw Failure(.notFound, "The \(what) '\(relative)' is not there; the package is incomplete.")
        default: throw Failure(.malformed, "The \(what) '\(relative)' is not a regular file.")
        }
    }

    static func refuseLink(_ path: String) throws {
        guard !isLink(path) else {
            throw Failure(.malformed, "'\(path)' is a symbolic link, and links are refused here.", file: path)
        }
    }

    static var lastError: String { String(cString: strerror(errno)) }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func name(of path: String) -> Substring { path.split(separator: "/").last ?? "" }

    static func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o777) == 0 else {
            throw Failure(
                errno == ENOENT ? .notFound : .invalidArgument, "No folder can be made at '\(path)': \(lastError).",
                file: path)
        }
    }

    /// Moves a finished folder into place. What it replaces is moved aside first and removed last.
    static func move(_ source: String, to target: String, replacing: Bool) throws {
        let aside = source + "-old"
        if replacing, rename(target, aside) != 0 {
            throw Failure(.invalidArgument, "'\(target)' cannot be replaced: \(lastError).")
        }
        guard rename(source, target) == 0 else {
            let reason = lastError
            if replacing { rename(aside, target) }
            throw Failure(.invalidArgument, "'\(target)' cannot be written: \(reason).")
        }
        if replacing { remove(aside) }
    }

    /// Removes a file, or a folder with all it holds; links are removed, not followed.
    static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        for name in names(in: path) { remove(path + "/" + name) }
        rmdir(path)
    }

    /// The names in a folder, in no particular order; none where it cannot be read.
    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

/// A file that is written from its start to its end.
final class OutputFile {
    private let descriptor: Int32
    private let path: String
    private(set) var count = 0

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        self.path = path
        guard descriptor >= 0 else {
            throw Failure(.invalidArgument, "'\(path)' cannot be written: \(FileSystem.lastError).", file: path)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        // The descriptor is closed with the object, which nothing else may keep alive during the call.
        defer { withExtendedLifetime(self) {} }
        var rest = bytes[...]
        while !rest.isEmpty {
            #if canImport(Glibc)
                let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
            #elseif canImport(Musl)
                let written = Musl.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
            #else
                let written = Darwin.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
            #endif
            if written < 0 {
                if errno == EINTR { continue }
                throw Failure(.invalidArgument, "'\(path)' cannot be written: \(FileSystem.lastError).", file: path)
            }
            rest = rest.dropFirst(written)
        }
        count += bytes.count
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Replaces the first bytes, for a header that counts what follows.
    func overwriteStart(_ bytes: [UInt8]) throws {
        defer { withExtendedLifetime(self) {} }
        guard pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
            throw Failure(.invalidArgument, "'\(path)' cannot be written: \(FileSystem.lastError).", file: path)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
