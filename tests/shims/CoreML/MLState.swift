import Foundation
import MIL
import ShimControl

/// What a model keeps from one prediction to the next: one multi-array a state, zero at first.
open class MLState: NSObject, @unchecked Sendable {
    private let lock = NSLock()
    private var arrays: [String: MLMultiArray]
    private var isInUse = false
    private weak var maker: LoadedModel?

    init(_ model: LoadedModel) {
        maker = model
        arrays = [:]
        for state in model.interface.states {
            guard case .state(let array) = state.kind, let type = MLMultiArrayDataType(array.dtype) else { continue }
            let buffer = MLMultiArray(own: array.shape, type, strides: MLState.strides(array.shape, type))
            memset(buffer.base, 0, buffer.byteCount)
            arrays[state.name] = buffer
        }
        super.init()
    }

    private static func strides(_ shape: [Int], _ type: MLMultiArrayDataType) -> [Int] {
        ShimControl.isHostile ? MLMultiArray.padded(shape, type) : MLMultiArray.packed(shape)
    }

    public func withMultiArray<R>(for stateName: String, _ body: (MLMultiArray) throws -> R) rethrows -> R {
        AutoreleasePools.expectOne()
        guard let array = array(stateName) else { preconditionFailure("The model has no state '\(stateName)'.") }
        return try body(array)
    }

    @available(*, deprecated, message: "Name the state.")
    public func withMultiArray<R>(_ body: (MLMultiArray) -> R) throws -> R {
        guard arrays.count == 1, let array = arrays.values.first else {
            throw modelError(.generic, "The model has \(arrays.count) states; name the one that is meant.")
        }
        return body(array)
    }

    // MARK: For predictions

    func isMade(by model: LoadedModel) -> Bool { maker === model }

    func array(_ name: String) -> MLMultiArray? { lock.withLock { arrays[name] } }

    /// Puts new content into a state; in hostile mode the buffer itself is another one then.
    func replace(_ name: String, with tensor: Tensor) {
        guard let old = array(name) else { return }
        let isHostile = ShimControl.isHostile
        let target = isHostile ? MLMultiArray(own: old.sizes, old.dataType, strides: old.steps) : old
        target.fill(from: tensor)
        guard isHostile else { return }
        memset(old.base, 0xDD, old.byteCount)
        lock.withLock { arrays[name] = target }
    }

    /// Two predictions on one state at a time are the caller's fault.
    func alone<R>(_ body: () throws -> R) throws -> R {
        let isFree = lock.withLock {
            defer { isInUse = true }
            return !isInUse
        }
        guard isFree else { throw modelError(.generic, "SHIM: two predictions use one MLState at a time.") }
        defer { lock.withLock { isInUse = false } }
        return try body()
    }
}
