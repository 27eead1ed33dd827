import MIL
import Runtime
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
    /// Where it lies; a folder that no cache keeps goes with it.
    let place: DiskCache.Entry
    private let handle: UnsafeMutableRawPointer

    private static let file = "/kernels.so"

    private init(_ place: DiskCache.Entry) throws {
        let path = place.path + Image.file
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
            throw Failure(.unsupported, "A compiled kernel cannot be loaded: \(reason).")
        }
        guard let table = dlsym(handle, "martlet_kernels") else {
            dlclose(handle)
            throw Failure(.malformed, "'\(path)' holds no kernels.")
        }
        self.handle = handle
        self.place = place
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
        private final class Shared: Sendable {
            struct Held { weak var image: Image? }
            let held = Mutex(Held())
        }
        private static let all = Mutex<[String: Shared]>([:])

        /// The image of a source: one that is loaded, one that the cache keeps, or a new one.
        static func of(_ source: String, _ macros: [String: String], _ cache: DiskCache?) throws -> Image {
            let compiler = try Compiler()
            let key = digest(
                [compiler.identity, source] + macros.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
            let shared = all.withLock { all -> Shared in
                let shared = all[key] ?? Shared()
                all[key] = shared
                return shared
            }
            return try shared.held.withLock { held in
                if let image = held.image { return image }
                let image = try kept("msl-" + key, cache) {
                    try compiler.compile(source, macros: macros, into: $0 + file)
                }
                held.image = image
                return image
            }
        }

        /// The image of an entry. One that cannot be loaded is removed and made once more.
        private static func kept(
            _ key: String, _ cache: DiskCache?, _ make: (_ folder: String) throws -> Void
        ) throws -> Image {
            guard let cache else { return try Image(DiskCache.temporary(make)) }
            let entry = try cache.entry(for: key, make: make)
            do { return try Image(entry) } catch  where entry.wasFound {
                cache.remove(key)
                return try Image(cache.entry(for: key, make: make))
            }
        }

        private static func digest(_ texts: [String]) -> String {
            var hash = SHA256()
            for text in texts {
                Array("\(text.utf8.count) \(text)".utf8).withUnsafeBytes { hash.update($0) }
            }
            return SHA256.hexadecimal(hash.finished())
        }
    }
#endif
