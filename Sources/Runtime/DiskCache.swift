import MIL
import Synchronization

/// Folders of files that devices keep between processes, such as Core ML's compiled models. Each entry is made in a folder
/// beside its place and renamed into it, so that no process ever sees half of one; processes that want the same entry
/// make it once. Where the folder cannot be written, everything works without keeping, and the log says why.
///
/// The CPU engine keeps nothing here: it compiles in less time than reading would take.
public final class DiskCache: Sendable {
    /// The place an entry lies at. Where it could not be kept, it is a folder of its own that goes with this object.
    public final class Entry: Sendable {
        /// The folder that `make` filled.
        public let path: String
        /// Whether other processes will find it.
        public let isKept: Bool
        /// Whether it was there already.
        public let wasFound: Bool
        private let temporary: String?

        fileprivate init(_ path: String, found: Bool) {
            (self.path, isKept, wasFound, temporary) = (path, true, found, nil)
        }

        fileprivate init(temporary: String, path: String) {
            (self.path, isKept, wasFound, self.temporary) = (path, false, false, temporary)
        }

        deinit { if let temporary { System.remove(temporary) } }
    }

    /// What the cache says of one entry.
    public struct Item: Sendable, Hashable {
        public let key: String
        public let bytes: Int
        /// Nanoseconds since 1970.
        public let lastUsed: Int
    }

    public let folder: String
    public let maxEntries: Int
    public let maxBytes: Int

    /// A cache in this folder, which is made where it is missing. Caches of several processes may share it.
    public init(folder: String, maxEntries: Int = 1000, maxBytes: Int = 1 << 30) {
        self.folder = folder
        self.maxEntries = maxEntries
        self.maxBytes = maxBytes
    }

    /// The cache of this user: `compiled` in the folder for everything; nil where no such folder is known.
    public static var standard: DiskCache? { root.map { DiskCache(folder: $0 + "/compiled") } }

    /// The folder for everything Martlet keeps between processes: `MARTLET_CACHE`, else `martlet` in the system's place for
    /// caches. Nil where neither that nor a home is known.
    public static var root: String? {
        if let folder = System.environment("MARTLET_CACHE") { return folder }
        let home = System.environment("HOME")
        #if canImport(Darwin)
            return home.map { $0 + "/Library/Caches/martlet" }
        #else
            // The standard says that a relative path there counts as none.
            let caches = System.environment("XDG_CACHE_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
            return (caches ?? home.map { $0 + "/.cache" }).map { $0 + "/martlet" }
        #endif
    }

    /// The entry of a key; `make` fills the folder it is given where the entry is not there. A failure of `make` is
    /// thrown on and keeps nothing. Keys are lower-case letters, digits and hyphens, such as a digest.
    public func entry(for key: String, make: (_ folder: String) throws -> Void) throws -> Entry {
        try DiskCache.check(key)
        guard System.makeFolders(folder), System.facts(folder)?.isFolder == true else {
            return try unkept(because: "'\(folder)' cannot be made: \(System.lastError)", make)
        }
        if let found = find(key) { return found }
        return try System.locked(lock(of: key)) {
            // Another process may have made it meanwhile.
            if let found = find(key) { return found }
            return try build(key, make)
        }
    }

    /// Every whole entry, the one used last first.
    public func list() -> [Item] {
        System.names(in: folder).filter { !$0.hasPrefix(".") }.compactMap(item).sorted { $0.lastUsed > $1.lastUsed }
    }

    /// How many entries there are, and their bytes.
    public var size: (entries: Int, bytes: Int) {
        let items = list()
        return (items.count, items.reduce(0) { $0 + $1.bytes })
    }

    /// Removes one entry, for callers that find it unusable.
    public func remove(_ key: String) {
        guard (try? DiskCache.check(key)) != nil else { return }
        discard(key)
    }

    /// Removes the entries of the keys that are wanted, by default all, and what broken processes left. Answers how much
    /// that was.
    @discardableResult
    public func clear(where isWanted: (_ key: String) -> Bool = { _ in true }) -> (entries: Int, bytes: Int) {
        System.locked(folder + "/.lock-room") {
            let size = list().filter { isWanted($0.key) }.reduce((0, 0)) { ($0.0 + 1, $0.1 + $1.bytes) }
            for name in System.names(in: folder) where !name.hasPrefix(".") && isWanted(name) { discard(name) }
            removeLeftovers(olderThan: 0)
            return size
        }
    }

    // MARK: Entries

    private static let content = "content"
    private static let manifest = "manifest"
    /// Seconds after which an unfinished folder counts as abandoned.
    private static let patience = 3600
    private static let turn = Atomic<Int>(0)

    private static func check(_ key: String) throws {
        let isPlain = key.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        guard isPlain, (1...128).contains(key.utf8.count) else {
            throw Failure(
                .invalidArgument,
                "The key '\(key)' must be 1 to 128 lower-case letters, digits and hyphens.")
        }
    }

    /// One of 16 lock files, so that they need never be removed.
    private func lock(of key: String) -> String {
        let number = key.utf8.reduce(0 as UInt32) { ($0 ^ UInt32($1)) &* 16_777_619 } >> 28
        return "\(folder)/.lock-\(number)"
    }

    /// The entry where it is whole; one that is not is removed.
    private func find(_ key: String) -> Entry? {
        let path = folder + "/" + key
        guard System.facts(path) != nil else { return nil }
        guard item(key) != nil else {
            Log.write(.warning, "The cache entry '\(path)' is not whole; it is removed and made again.")
            discard(key)
            return nil
        }
        System.touch(path)
        return Entry(path + "/" + DiskCache.content, found: true)
    }

    /// What the manifest says, if that is what lies there.
    private func item(_ key: String) -> Item? {
        let path = folder + "/" + key
        guard let facts = System.facts(path), facts.isFolder,
            let manifest = System.read(path + "/" + DiskCache.manifest),
            let measured = DiskCache.measure(path + "/" + DiskCache.content),
            manifest == DiskCache.text(measured)
        else { return nil }
        return Item(key: key, bytes: measured.bytes, lastUsed: facts.modified)
    }

    private static func text(_ measured: (files: Int, bytes: Int)) -> String {
        "martlet 1\nfiles \(measured.files)\nbytes \(measured.bytes)\n"
    }

    /// Files below a folder, and their bytes.
    private static func measure(_ path: String) -> (files: Int, bytes: Int)? {
        guard let facts = System.facts(path) else { return nil }
        guard facts.isFolder else { return (1, facts.bytes) }
        return System.names(in: path).reduce(into: (0, 0)) { sum, name in
            guard let part = measure(path + "/" + name) else { return }
            sum = (sum.0 + part.files, sum.1 &+ part.bytes)
        }
    }

    private func build(_ key: String, _ make: (String) throws -> Void) throws -> Entry {
        let number = DiskCache.turn.wrappingAdd(1, ordering: .relaxed).newValue
        let part = "\(folder)/.part-\(key.prefix(16))-\(System.process)-\(number)"
        let content = part + "/" + DiskCache.content
        guard System.makeFolders(content), System.facts(content) != nil else {
            System.remove(part)
            return try unkept(because: "'\(folder)' cannot be written: \(System.lastError)", make)
        }
        do {
            try make(content)
        } catch {
            System.remove(part)
            guard System.isFull(folder) else { throw error }
            return try unkept(because: "the disk of '\(folder)' is full", make)
        }
        guard let measured = DiskCache.measure(content) else {
            throw Failure(.notFound, "The entry '\(key)' was removed while it was made.")
        }
        if let entry = keep(key, part, measured) { return entry }
        return Entry(temporary: part, path: content)
    }

    /// Gives a finished folder its place, once there is room; nil where it does not fit or the disk refuses.
    private func keep(_ key: String, _ part: String, _ measured: (files: Int, bytes: Int)) -> Entry? {
        guard measured.bytes <= maxBytes, maxEntries > 0 else {
            Log.write(.info, "A cache entry of \(measured.bytes) bytes is larger than the cache; it is not kept.")
            return nil
        }
        return System.locked(folder + "/.lock-room") {
            trim(toEntries: maxEntries - 1, bytes: maxBytes - measured.bytes)
            guard System.write(DiskCache.text(measured), to: part + "/" + DiskCache.manifest),
                System.rename(part, to: folder + "/" + key)
            else {
                Log.write(.warning, "A cache entry is not kept in '\(folder)': \(System.lastError).")
                return nil
            }
            Log.write(.debug, "The cache entry '\(key)' of \(measured.bytes) bytes was made.")
            return Entry("\(folder)/\(key)/\(DiskCache.content)", found: false)
        }
    }

    /// Removes the entries used longest ago until the rest is within the limits.
    private func trim(toEntries entries: Int, bytes: Int) {
        removeLeftovers(olderThan: DiskCache.patience)
        var items = list()
        var total = items.reduce(0) { $0 &+ $1.bytes }
        while items.count > entries || total > bytes, let oldest = items.popLast() {
            Log.write(.info, "The cache entry '\(oldest.key)' of \(oldest.bytes) bytes leaves the disk.")
            discard(oldest.key)
            total -= oldest.bytes
        }
    }

    /// Takes an entry away whole, then removes it.
    private func discard(_ key: String) {
        let number = DiskCache.turn.wrappingAdd(1, ordering: .relaxed).newValue
        let aside = "\(folder)/.gone-\(System.process)-\(number)"
        System.remove(System.rename(folder + "/" + key, to: aside) ? aside : folder + "/" + key)
    }

    private func removeLeftovers(olderThan age: Int) {
        let now = System.seconds
        for name in System.names(in: folder) where name.hasPrefix(".part-") || name.hasPrefix(".gone-") {
            let path = folder + "/" + name
            guard let facts = System.facts(path), now - facts.modified / 1_000_000_000 >= age else { continue }
            System.remove(path)
        }
    }

    /// Makes an entry that only this process will see.
    private func unkept(because reason: String, _ make: (String) throws -> Void) throws -> Entry {
        Log.write(.warning, "The cache on disk is not used: \(reason).")
        return try DiskCache.temporary(make)
    }

    /// An entry that no cache holds: its folder goes with it.
    public static func temporary(_ make: (_ folder: String) throws -> Void) throws -> Entry {
        guard let folder = System.temporaryFolder() else {
            throw Failure(.invalidArgument, "No temporary folder can be made: \(System.lastError).")
        }
        let entry = Entry(temporary: folder, path: folder + "/" + DiskCache.content)
        _ = System.makeFolders(entry.path)
        try make(entry.path)
        return entry
    }
}
