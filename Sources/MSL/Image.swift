import MIL
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A shared object of kernels, loaded.
final class Image: @unchecked Sendable {
    /// One row of the table it exports.
    struct Entry: @unchecked Sendable {
        let name: String
        let waits: Bool
        let mostThreads: Int
        let memory: Int
        let arguments: [KernelFunction.Argument]
        /// Takes the words of `mk::Launch` and `mk::Worker`.
        let run: @convention(c) (UnsafePointer<Int>, UnsafePointer<Int>) -> Void
    }

    let entries: [Entry]
    let wasCached: Bool
    private let handle: UnsafeMutableRawPointer

    private init(_ path: String, wasCached: Bool) throws {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
            throw Failure(.unsupported, "A compiled kernel cannot be loaded: \(reason).")
        }
        guard let table = dlsym(handle, "martlet_kernels") else {
            dlclose(handle)
            throw Failure(.malformed, "'\(path)' holds no kernels.")
        }
        self.handle = handle
        self.wasCached = wasCached
        entries = Image.entries(UnsafeRawPointer(table))
    }

    deinit { dlclose(handle) }

    // MARK: The table

    /// Reads rows of `mk::Entry`, eight words each, up to one of zeros.
    private static func entries(_ table: UnsafeRawPointer) -> [Entry] {
        typealias Run = @convention(c) (UnsafePointer<Int>, UnsafePointer<Int>) -> Void
        var result: [Entry] = []
        var row = table
        while let name = row.load(as: UnsafePointer<CChar>?.self) {
            func word(_ index: Int) -> Int { row.load(fromByteOffset: index * 8, as: Int.self) }
            guard let memory = row.load(fromByteOffset: 24, as: UnsafePointer<Int>?.self),
                let rows = row.load(fromByteOffset: 40, as: UnsafePointer<Int>?.self),
                let names = row.load(fromByteOffset: 48, as: UnsafePointer<UnsafePointer<CChar>>?.self),
                let run = row.load(fromByteOffset: 56, as: Run?.self)
            else { break }
            result.append(
                Entry(
                    name: String(cString: name), waits: word(1) != 0, mostThreads: word(2), memory: memory.pointee,
                    arguments: (0..<word(4)).compactMap { argument(rows + $0 * 4, String(cString: names[$0])) },
                    run: run))
            row += 64
        }
        return result
    }

    /// One argument; nil for positions of threads.
    private static func argument(_ row: UnsafePointer<Int>, _ name: String) -> KernelFunction.Argument? {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let kind: KernelFunction.Argument.Kind
        switch row[0] {
        case 0: kind = .buffer(isConstantSpace: parts[0] == "constant", isConst: parts[0] == "constant" || row[3] != 0)
        case 1: kind = .threadgroup
        default: return nil
        }
        return KernelFunction.Argument(
            name: parts.count > 1 ? String(parts[1]) : "", index: row[1], kind: kind,
            elementType: UInt8(exactly: row[2]).flatMap(DataType.init(rawValue:)))
    }
}

#if os(Linux) || os(macOS)
    extension Image {
        /// What is loaded or being compiled, by content; one thread compiles for all who ask.
        private final class Place: Sendable {
            struct Held { weak var image: Image? }
            let held = Mutex(Held())
        }
        private static let places = Mutex<[String: Place]>([:])

        /// The image of a source: one that is loaded, one in the cache folder, or a new one.
        static func of(_ source: String, _ macros: [String: String], _ cache: String?) throws -> Image {
            let compiler = try Compiler()
            let key = digest(
                [compiler.identity, source] + macros.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
            let place = places.withLock { places -> Place in
                let place = places[key] ?? Place()
                places[key] = place
                return place
            }
            return try place.held.withLock { held in
                if let image = held.image { return image }
                let image = try found(key, cache) ?? made(compiler, source, macros, key, cache)
                held.image = image
                return image
            }
        }

        private static func digest(_ texts: [String]) -> String {
            var hash = SHA256()
            for text in texts {
                Array("\(text.utf8.count) \(text)".utf8).withUnsafeBytes { hash.update($0) }
            }
            return SHA256.hexadecimal(hash.finished())
        }

        /// What the folder keeps under a key. The name says how many bytes it has.
        private static func found(_ key: String, _ cache: String?) -> Image? {
            guard let cache, let name = System.names(in: cache).first(where: { $0.hasPrefix(key) }) else { return nil }
            let path = cache + "/" + name
            if name == "\(key)-\(System.size(of: path) ?? 0).so", let image = try? Image(path, wasCached: true) {
                System.touch(path)
                return image
            }
            System.remove(path)
            return nil
        }

        private static func made(
            _ compiler: Compiler, _ source: String, _ macros: [String: String], _ key: String, _ cache: String?
        ) throws -> Image {
            let folder = try System.temporaryFolder()
            defer { System.removeFolder(folder) }
            let isKept = cache.map(System.makeFolders) ?? false
            // Renaming works within one file system only.
            let object = isKept ? "\(cache ?? "")/.\(key).\(System.process).so" : folder + "/kernels.so"
            defer { if isKept { System.remove(object) } }
            try compiler.compile(source, macros: macros, into: object, folder: folder)
            guard isKept, let cache else { return try Image(object, wasCached: false) }
            let path = "\(cache)/\(key)-\(System.size(of: object) ?? 0).so"
            let image = try Image(System.rename(object, to: path) ? path : object, wasCached: false)
            trim(cache)
            return image
        }

        private static let mostFiles = 512

        /// Removes what was used longest ago where there are too many.
        private static func trim(_ cache: String) {
            let names = System.names(in: cache).filter { $0.hasSuffix(".so") && !$0.hasPrefix(".") }
            guard names.count > mostFiles else { return }
            let aged = names.map { (System.modified(cache + "/" + $0), $0) }.sorted { $0 < $1 }
            for (_, name) in aged.prefix(names.count - mostFiles) { System.remove(cache + "/" + name) }
        }
    }
#endif
