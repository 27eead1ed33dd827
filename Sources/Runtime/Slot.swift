import Synchronization

/// A place that holds one object at a time, under a tag, and that threads use without a lock. Tag, state and the
/// number of uses share one word, so a use is one compare-and-swap: it either sees the object under its tag and keeps
/// it alive, or fails. `end` does not wait: the last use clears the place.
public struct Slot: ~Copyable, @unchecked Sendable {
    /// Tag in the upper half; then whether it is open, whether it is ending, and the uses.
    @usableFromInline let word = Atomic<UInt64>(0)
    @usableFromInline let object = Atomic<Unmanaged<AnyObject>?>(nil)

    @inlinable static var open: UInt64 { 1 << 31 }
    @inlinable static var ending: UInt64 { 1 << 30 }
    @inlinable static var uses: UInt64 { (1 << 30) - 1 }

    public init() {}

    deinit { object.exchange(nil, ordering: .acquiring)?.release() }

    /// The tag last given to this place.
    public var tag: UInt32 { UInt32(truncatingIfNeeded: word.load(ordering: .acquiring) >> 32) }
    public var isEmpty: Bool { word.load(ordering: .acquiring) & Slot.open == 0 }

    /// Puts an object in. The place must be empty, and no other thread may fill it at the same time.
    public func fill(_ new: consuming AnyObject, tag: UInt32) {
        object.store(Unmanaged.passRetained(new), ordering: .relaxed)
        word.store(UInt64(tag) << 32 | Slot.open, ordering: .releasing)
    }

    /// The object under this tag, kept in place until `leave`; nil where there is none or it is ending. The place owns
    /// the object meanwhile, so that a use counts no further reference.
    @inlinable
    public func enter(tag: UInt32) -> Unmanaged<AnyObject>? {
        var seen = word.load(ordering: .relaxed)
        while seen >> 32 == tag, seen & (Slot.open | Slot.ending) == Slot.open, seen & Slot.uses < Slot.uses {
            let (done, now) = word.weakCompareExchange(
                expected: seen, desired: seen + 1, successOrdering: .acquiring, failureOrdering: .relaxed)
            if done { return object.load(ordering: .relaxed) }
            seen = now
        }
        return nil
    }

    /// Ends one use. True where that cleared the place, which the caller may then give to the next object.
    @inlinable
    public func leave() -> Bool {
        let (_, now) = word.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        return now & Slot.ending != 0 && now & Slot.uses == 0 && clear()
    }

    /// Makes every later `enter` fail; uses that have begun finish first. Returns whether the tag still stood for an
    /// object, and whether the place is clear already.
    public func end(tag: UInt32) -> (existed: Bool, cleared: Bool) {
        var seen = word.load(ordering: .relaxed)
        while seen >> 32 == tag, seen & (Slot.open | Slot.ending) == Slot.open {
            let (done, now) = word.weakCompareExchange(
                expected: seen, desired: seen | Slot.ending, successOrdering: .acquiringAndReleasing,
                failureOrdering: .relaxed)
            if done { return (true, seen & Slot.uses == 0 && clear()) }
            seen = now
        }
        return (false, false)
    }

    /// Only the last use of an ending place comes here, alone.
    @usableFromInline
    func clear() -> Bool {
        let last = object.exchange(nil, ordering: .relaxed)
        word.store(UInt64(tag) << 32, ordering: .releasing)
        last?.release()
        return true
    }
}
