import Synchronization

/// What a stateful model remembers from one prediction to the next, such as the keys and values of a language model:
/// `Predictor.makeState()` makes one. It belongs to one prediction at a time. Using it in two at once fails; nothing is
/// mixed up.
///
///     let state = try model.makeState()
///     for token in prompt { scores = try model.predict(["token": token], state: state) }
public final class State: Sendable {
    /// The name and type of each state.
    public let ports: [Port]

    /// Only the prediction that set `isInUse` reads or writes it.
    private nonisolated(unsafe) var content: Content
    private let isInUse = Atomic(false)

    /// What the states hold: tensors, or what a device keeps itself.
    enum Content {
        case tensors([Tensor])
        case kept(any ExecutableState)
    }

    init(_ ports: [Port], _ content: Content) {
        self.ports = ports
        self.content = content
    }

    /// What the state of a name holds now; it does not change with the state.
    public func value(of name: String) throws -> Tensor {
        let index = try index(of: name)
        let content = try begin()
        defer { end(content) }
        switch content {
        case .tensors(let tensors): return tensors[index]
        case .kept(let kept): return try kept.value(of: name)
        }
    }

    /// Replaces what the state of a name holds.
    public func set(_ value: Tensor, for name: String) throws {
        let index = try index(of: name)
        let type = ports[index].type
        guard value.type == type else {
            let kind: Failure.Kind = value.dtype == type.dtype ? .invalidArgument : .wrongType
            throw Failure(kind, "The state '\(name)' is a \(type); a \(value.type) is given.")
        }
        var content = try begin()
        defer { end(content) }
        switch content {
        case .tensors(var tensors):
            tensors[index] = value
            content = .tensors(tensors)
        case .kept(let kept): try kept.set(value, for: name)
        }
    }

    private func index(of name: String) throws -> Int {
        if let index = ports.firstIndex(where: { $0.name == name }) { return index }
        let names = ports.map { "'\($0.name)'" }.joined(separator: ", ")
        throw Failure(.invalidArgument, "There is no state '\(name)'; there are \(names.isEmpty ? "none" : names).")
    }

    // MARK: One at a time

    /// Takes the content until `end`; fails if another prediction has it.
    func begin() throws -> Content {
        guard isInUse.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            throw Failure(
                .invalidArgument,
                "The state is in use by another prediction; it belongs to one at a time. Wait for that one, or make a state "
                    + "for each thread with makeState.")
        }
        return content
    }

    /// Gives the content back, changed or not.
    func end(_ content: Content) {
        self.content = content
        isInUse.store(false, ordering: .releasing)
    }
}

extension Tensor {
    /// The same elements in memory of their own.
    func copied() throws -> Tensor {
        let copy = try Tensor(uninitialized: type)
        copy.pointer.copyMemory(from: pointer, byteCount: type.byteCount)
        return copy
    }
}
