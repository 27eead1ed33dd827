// Ops that read and change states. They speak of states rather than tensors, so no eager call has any of them, and they
// stand beside the rows that engines run: `Function.withoutStates()` turns them into inputs and outputs first.

extension OpTable {
    /// The ops of stateful functions.
    public static let stateOps: [Op] = [
        Op(
            "read_state", .control, "what the state holds now",
            [.tensor("input", "the state", .all)]
        ) { call in [try call.stateType("input")] },
        Op(
            "write_state", .control, "the state holds `data` from now on; there is no result",
            [.tensor("input", "the state", .all), .tensor("data", "of the state's type", .all)]
        ) { call in
            try call.expectState("input", holds: "data")
            return []
        },
        Op(
            "coreml_update_state", .control, "the state holds `value` from now on, which is the result, too",
            [.tensor("state", "the state", .all), .tensor("value", "of the state's type", .all)],
            expansion: { call, function in
                let state = try call.id("state")
                try function.append("write_state", name: "", ["input": [state], "data": [try call.id("value")]])
                return try function.append("read_state", name: call.name, ["input": [state]])
            },
            isCoreML: false
        ) { call in
            try call.expectState("state", holds: "value")
            return [try call.stateType("state")]
        },
    ]
}

extension Operation {
    /// Whether it changes a state: such an operation is needed even if its results are not read.
    public var changesState: Bool { op == "write_state" || op == "coreml_update_state" }
}

extension Function {
    /// The inputs that are states.
    public var states: [ValueID] {
        inputs.filter { if case .state = self[$0].type { true } else { false } }
    }
}

extension Call {
    /// The type of what a state holds.
    fileprivate func stateType(_ name: String) throws -> TensorType {
        let value = function[try id(name)]
        guard case .state(let type) = value.type else {
            throw Failure(.wrongType, "The parameter '\(name)' is a \(value.type); it must be a state.")
        }
        return type
    }

    fileprivate func expectState(_ name: String, holds data: String) throws {
        let (state, given) = (try stateType(name), try type(data))
        guard state.dtype == given.dtype, state.rank == given.rank,
            zip(state.shape, given.shape).allSatisfy({ $0 == $1 || $0 < 0 || $1 < 0 })
        else {
            throw Failure(.wrongType, "The parameter '\(data)' is a \(given); the state holds a \(state).")
        }
    }
}
