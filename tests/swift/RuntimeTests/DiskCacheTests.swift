import MIL
import Synchronization
import Testing

@testable import Runtime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A folder that goes with the test.
private final class Folder {
    let path: String

    init() throws { path = try #require(System.temporaryFolder()) }

    deinit { System.remove(path) }

    func cache(entries: Int = 100, bytes: Int = 1 << 20) -> DiskCache {
        DiskCache(folder: path + "/compiled", maxEntries: entries, maxBytes: bytes)
    }
}

private func file(_ bytes: Int) -> (String) throws -> Void {
    { folder in #expect(System.write(String(repeating: "x", count: bytes), to: folder + "/file")) }
}

@Suite struct DiskCacheTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    @Test func makesOnceAndFinds() throws {
        let cache = folder.cache()
        let made = try cache.entry(for: "a-1", make: file(10))
        #expect(made.isKept && !made.wasFound)
        let found = try folder.cache().entry(for: "a-1") { _ in Issue.record("It was there already.") }
        #expect(found.wasFound && found.path == made.path)
        #expect(System.read(found.path + "/file") == "xxxxxxxxxx")
        #expect(cache.size == (1, 10))
        #expect(cache.list().map(\.key) == ["a-1"])
    }

    @Test func aFailureKeepsNothing() throws {
        let cache = folder.cache()
        let failed = failure { _ = try cache.entry(for: "a") { _ in throw Failure(.unsupported, "no") } }
        #expect(failed?.message == "no")
        #expect(cache.size == (0, 0))
        #expect(System.names(in: cache.folder).allSatisfy { $0.hasPrefix(".lock") })
    }

    @Test(arguments: ["", "a/b", "..", "A", "a b", "é", String(repeating: "a", count: 129)])
    func keysAreNames(key: String) {
        #expect(failure { _ = try folder.cache().entry(for: key, make: file(1)) }?.kind == .invalidArgument)
    }

    @Test func threadsMakeOnce() async throws {
        let cache = folder.cache()
        let count = Counters.Tally()
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try cache.entry(for: "shared") { folder in
                        count.count.wrappingAdd(1, ordering: .relaxed)
                        System.sleep(nanoseconds: 10_000_000)
                        _ = System.write("whole", to: folder + "/file")
                    }.path
                }
            }
            for try await path in group { #expect(System.read(path + "/file") == "whole") }
        }
        #expect(count.count.load(ordering: .relaxed) == 1)
    }

    @Test func brokenEntriesAreMadeAgain() throws {
        let cache = folder.cache()
        let path = try cache.entry(for: "a", make: file(10)).path
        System.remove(path + "/file")
        #expect(cache.list().isEmpty)
        #expect(try !cache.entry(for: "a", make: file(10)).wasFound)
        #expect(truncate(path + "/file", 3) == 0)
        #expect(try !cache.entry(for: "a", make: file(10)).wasFound)
        System.remove(cache.folder + "/a/manifest")
        #expect(try !cache.entry(for: "a", make: file(10)).wasFound)
        #expect(try cache.entry(for: "a", make: file(10)).wasFound)
        // A file in the place of an entry.
        #expect(System.write("junk", to: cache.folder + "/b"))
        #expect(try !cache.entry(for: "b", make: file(10)).wasFound)
        #expect(cache.size == (2, 20))
    }

    @Test func theOldestGoFirst() throws {
        let cache = folder.cache(entries: 3)
        for key in ["a", "b", "c"] {
            _ = try cache.entry(for: key, make: file(1))
            System.sleep(nanoseconds: 15_000_000)
        }
        #expect(try cache.entry(for: "a", make: file(1)).wasFound)
        System.sleep(nanoseconds: 15_000_000)
        _ = try cache.entry(for: "d", make: file(1))
        #expect(cache.list().map(\.key) == ["d", "a", "c"])
    }

    @Test(arguments: 0..<6) func isNeverOverItsLimits(seed: UInt64) throws {
        var dice = Dice(state: seed)
        let (entries, bytes) = (Int.random(in: 1...6, using: &dice), Int.random(in: 50...400, using: &dice))
        let cache = folder.cache(entries: entries, bytes: bytes)
        for _ in 0..<60 {
            let size = Int.random(in: 0...200, using: &dice)
            let entry = try cache.entry(for: "\(Int.random(in: 0..<15, using: &dice))", make: file(size))
            #expect(entry.wasFound || entry.isKept == (size <= bytes))
            #expect(System.facts(entry.path + "/file") != nil)
            #expect(cache.size.entries <= entries && cache.size.bytes <= bytes)
        }
    }

    @Test func whatIsTooLargeWorksAndGoes() throws {
        let cache = folder.cache(bytes: 5)
        var entry: DiskCache.Entry? = try cache.entry(for: "large", make: file(10))
        let path = try #require(entry?.path)
        #expect(entry?.isKept == false && System.facts(path + "/file")?.bytes == 10)
        entry = nil
        #expect(System.facts(path) == nil)
        #expect(cache.size == (0, 0))
    }

    @Test func aPlaceThatCannotBeWrittenWorksWithoutKeeping() throws {
        #expect(System.write("a file", to: folder.path + "/file"))
        let cache = DiskCache(folder: folder.path + "/file/compiled")
        let entry = try cache.entry(for: "a", make: file(10))
        #expect(!entry.isKept && System.facts(entry.path + "/file")?.bytes == 10)
        #expect(cache.size == (0, 0) && cache.clear() == (0, 0))
    }

    @Test func clearRemovesAllAndWhatWasLeft() throws {
        let cache = folder.cache()
        for key in ["a", "b"] { _ = try cache.entry(for: key, make: file(7)) }
        #expect(System.makeFolders(cache.folder + "/.part-dead-1-1/content"))
        #expect(cache.clear() == (2, 14))
        #expect(cache.size == (0, 0))
        #expect(System.facts(cache.folder + "/.part-dead-1-1") == nil)
    }

    @Test func aDeviceKeepsThroughTheBackend() throws {
        let cache = folder.cache()
        let device = try played("keeper", kind: .coreml, keeps: true)
        for _ in 0..<2 { _ = try Backend(devices: [device], keeping: cache).run(plus(1), [ones()]) }
        #expect(cache.size.entries == 1)
        _ = try Backend(devices: [try CountingDevice()], keeping: cache).run(plus(2), [ones()])
        #expect(cache.size.entries == 1)
    }
}
