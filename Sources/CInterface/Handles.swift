import MIL
import Runtime
import Synchronization

/// What a handle stands for.
protocol Handled: AnyObject, Sendable {
    static var kind: HandleKind { get }
}

enum HandleKind: UInt32 {
    case text = 1, tensor, model, executable, op, trace, selector, backend, recording, state

    var name: String {
        switch self {
        case .text: "a text"
        case .tensor: "a tensor"
        case .model: "a model"
        case .executable: "an executable"
        case .op: "an op"
        case .trace: "a trace"
        case .selector: "a selector"
        case .backend: "a backend"
        case .recording: "a recording"
        case .state: "a state"
        }
    }
}

/// All handles of the process.
let handles = HandleTable()

/// Objects by handle, without locks. A handle is a number: in its upper half a tag of one set bit, the generation of
/// the place and the kind of object; in its lower half the place, counted from 1. The set bit makes it a number that is
/// never an address, so a pointer of the caller's is recognised as foreign; the generation tells a released handle from
/// the one that took its place. A place whose generations are used up is not used again.
final class HandleTable: Sendable {
    /// Places come in chunks of 256, 512, 1024, …; a chunk never moves and is never freed.
    private static let firstChunk = 256
    private static let chunkCount = 20
    private static let capacity = firstChunk * (1 << chunkCount - 1)
    /// Kinds take four bits, generations the 27 between them and the mark.
    private static let kindBits: UInt32 = 4
    private static let kinds: UInt32 = 1 << kindBits - 1
    private static let lastGeneration: UInt32 = (1 << 27) - 1
    private static let mark: UInt32 = 1 << 31

    private struct Place: ~Copyable {
        let slot = Slot()
        /// The place below this one on the stack of empty places, counted from 1.
        let next = Atomic<UInt32>(0)
    }

    private typealias Chunk = Atomic<UnsafeMutablePointer<Place>?>
    private nonisolated(unsafe) let chunks: UnsafeMutablePointer<Chunk>
    /// The top of the stack of empty places, counted from 1, under a count of the changes.
    private let empty = Atomic<UInt64>(0)
    /// Places handed out so far, whether in use or empty.
    private let used = Atomic<Int>(0)

    init() {
        chunks = .allocate(capacity: HandleTable.chunkCount)
        for index in 0..<HandleTable.chunkCount { (chunks + index).initialize(to: Chunk(nil)) }
    }

    /// A new handle, owned by the caller.
    func add<Object: Handled>(_ object: consuming Object) throws -> OpaquePointer {
        let number = try pop() ?? unused()
        guard let place = place(number) else { throw Failure(.bug, "The handle table lost a place.") }
        let generation = place.pointee.slot.tag >> HandleTable.kindBits & HandleTable.lastGeneration + 1
        let tag = HandleTable.mark | generation << HandleTable.kindBits | Object.kind.rawValue
        place.pointee.slot.fill(object, tag: tag)
        return OpaquePointer(bitPattern: UInt(tag) << 32 | UInt(number + 1))!
    }

    /// Calls `body` with the object, which lives at least until `body` returns.
    @inline(__always)
    func use<Object: Handled, Answer>(
        _ handle: OpaquePointer?, as type: Object.Type, _ body: (Object) throws -> Answer
    ) throws -> Answer {
        let (number, tag) = HandleTable.parts(handle)
        guard tag & HandleTable.kinds == Object.kind.rawValue, let place = place(number),
            let object = place.pointee.slot.enter(tag: tag)
        else { throw failure(handle, wanted: Object.kind) }
        defer { if place.pointee.slot.leave() { recycle(number) } }
        return try object._withUnsafeGuaranteedRef { try body(unsafeDowncast($0, to: Object.self)) }
    }

    /// Ends a handle of any kind. Its object goes when the last use is over.
    func release(_ handle: OpaquePointer?) throws {
        let (number, tag) = HandleTable.parts(handle)
        guard tag & HandleTable.mark != 0, let place = place(number) else { throw failure(handle, wanted: nil) }
        let (existed, cleared) = place.pointee.slot.end(tag: tag)
        guard existed else { throw failure(handle, wanted: nil) }
        if cleared { recycle(number) }
    }

    private static func parts(_ handle: OpaquePointer?) -> (number: Int, tag: UInt32) {
        let bits = UInt64(UInt(bitPattern: handle))
        return (Int(bits & 0xffff_ffff) - 1, UInt32(bits >> 32))
    }

    private func failure(_ handle: OpaquePointer?, wanted: HandleKind?) -> Failure {
        let (number, tag) = HandleTable.parts(handle)
        let wish = wanted.map { ", where \($0.name) is wanted" } ?? ""
        guard handle != nil else { return Failure(.badHandle, "The handle is NULL\(wish).") }
        guard tag & HandleTable.mark != 0, let kind = HandleKind(rawValue: tag & HandleTable.kinds),
            let place = place(number)
        else {
            return Failure(.badHandle, "The pointer is no handle of Martlet's\(wish).")
        }
        if place.pointee.slot.tag == tag, !place.pointee.slot.isEmpty, let wanted, wanted != kind {
            return Failure(.badHandle, "The handle stands for \(kind.name)\(wish).")
        }
        return Failure(.badHandle, "The handle of \(kind.name) has been released\(wish).")
    }

    private func place(_ number: Int) -> UnsafeMutablePointer<Place>? {
        guard number >= 0, number < HandleTable.capacity else { return nil }
        let (chunk, index) = HandleTable.position(number)
        return chunks[chunk].load(ordering: .acquiring).map { $0 + index }
    }

    private static func position(_ number: Int) -> (chunk: Int, index: Int) {
        let chunk = (number / firstChunk + 1).bitWidth - 1 - (number / firstChunk + 1).leadingZeroBitCount
        return (chunk, number - firstChunk * (1 << chunk - 1))
    }

    /// A place never used before, with its chunk.
    private func unused() throws -> Int {
        let number = used.wrappingAdd(1, ordering: .relaxed).oldValue
        guard number < HandleTable.capacity else {
            used.wrappingSubtract(1, ordering: .relaxed)
            throw Failure(
                .outOfMemory, "There are \(HandleTable.capacity) handles, the most there can be; release some.")
        }
        let (chunk, _) = HandleTable.position(number)
        guard chunks[chunk].load(ordering: .acquiring) == nil else { return number }
        let size = HandleTable.firstChunk << chunk
        let new = UnsafeMutablePointer<Place>.allocate(capacity: size)
        for index in 0..<size { (new + index).initialize(to: Place()) }
        let (done, _) = chunks[chunk].compareExchange(
            expected: nil, desired: new, successOrdering: .acquiringAndReleasing, failureOrdering: .acquiring)
        if !done {
            // Another thread was faster.
            new.deinitialize(count: size)
            new.deallocate()
        }
        return number
    }

    /// The empty place that was given back last.
    private func pop() -> Int? {
        var top = empty.load(ordering: .acquiring)
        while top & 0xffff_ffff != 0 {
            let number = Int(top & 0xffff_ffff) - 1
            guard let place = place(number) else { return nil }
            let next = UInt64(place.pointee.next.load(ordering: .relaxed))
            let (done, now) = empty.weakCompareExchange(
                expected: top, desired: (top >> 32 &+ 1) << 32 | next, successOrdering: .acquiringAndReleasing,
                failureOrdering: .acquiring)
            if done { return number }
            top = now
        }
        return nil
    }

    /// Gives a cleared place back.
    private func recycle(_ number: Int) {
        guard let place = place(number),
            place.pointee.slot.tag >> HandleTable.kindBits & HandleTable.lastGeneration < HandleTable.lastGeneration
        else { return }
        var top = empty.load(ordering: .relaxed)
        while true {
            place.pointee.next.store(UInt32(truncatingIfNeeded: top), ordering: .relaxed)
            let (done, now) = empty.weakCompareExchange(
                expected: top, desired: (top >> 32 &+ 1) << 32 | UInt64(number + 1),
                successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
            if done { return }
            top = now
        }
    }
}
