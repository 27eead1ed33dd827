import MIL

extension Function {
    /// The same function without states: what a state holds before the run is one more input of its name and, in its
    /// place among the inputs, a tensor; what it holds after the run is one more output. The outputs for states follow all
    /// others, in the order of `states`. Engines that keep no states run this.
    public func withoutStates() throws -> Function {
        guard !states.isEmpty else { return self }
        var result = self
        var rewriter = StateRewriter(states)
        result.block.operations = []
        for operation in operations {
            if let rewritten = try rewriter.rewrite(operation, in: self) { result.block.operations.append(rewritten) }
        }
        for id in states {
            guard case .state(let type) = self[id].type else { continue }
            result[id].type = .tensor(type)
        }
        // A value that already goes in or out under its own name goes out under another as a copy.
        var named = Set(inputs)
        func output(_ id: ValueID, named name: String) throws -> ValueID {
            guard named.insert(id).inserted, result[id].constant == nil else {
                return try result.append("identity", name: name, ["x": [id]])[0]
            }
            return id
        }
        result.block.outputs = try outputs.map { id in
            try rewriter.meaning[id].map { try result.append("identity", name: self[id].name, ["x": [$0]])[0] } ?? id
        }
        named.formUnion(result.outputs)
        for id in states {
            result.block.outputs.append(try output(rewriter.contents[id] ?? id, named: self[id].name + "_after"))
        }
        return result
    }
}

/// Follows what each state holds from operation to operation.
private struct StateRewriter {
    /// What a state holds at this point.
    var contents: [ValueID: ValueID]
    /// Results of reading, and the values that they are.
    var meaning: [ValueID: ValueID] = [:]

    init(_ states: [ValueID]) { contents = Dictionary(uniqueKeysWithValues: states.map { ($0, $0) }) }

    /// The operation on tensors alone; nil where nothing is left to do.
    mutating func rewrite(_ operation: Operation, in function: Function, isNested: Bool = false) throws -> Operation? {
        if operation.op == "read_state", let state = operation["input"]?.first, let output = operation.outputs.first {
            guard let content = contents[state] else { throw StateRewriter.lost(function[state].name) }
            meaning[output] = content
            return nil
        }
        if operation.changesState {
            let isWrite = operation.op == "write_state"
            guard let state = operation[isWrite ? "input" : "state"]?.first,
                let data = operation[isWrite ? "data" : "value"]?.first, contents[state] != nil
            else { throw StateRewriter.lost(operation.op) }
            guard !isNested else {
                throw Failure(
                    .unsupported,
                    "The state '\(function[state].name)' is changed inside a branch or loop; only Core ML itself runs that."
                )
            }
            contents[state] = meaning[data] ?? data
            if let output = operation.outputs.first { meaning[output] = contents[state] }
            return nil
        }
        var operation = operation
        for index in operation.arguments.indices {
            operation.arguments[index].values = operation.arguments[index].values.map { meaning[$0] ?? $0 }
        }
        for index in operation.blocks.indices { try rewrite(&operation.blocks[index], in: function) }
        return operation
    }

    private mutating func rewrite(_ block: inout Block, in function: Function) throws {
        var kept: [Operation] = []
        for operation in block.operations {
            if let rewritten = try rewrite(operation, in: function, isNested: true) { kept.append(rewritten) }
        }
        block.operations = kept
        block.outputs = block.outputs.map { meaning[$0] ?? $0 }
    }

    private static func lost(_ name: String) -> Failure {
        Failure(.malformed, "'\(name)' speaks of a state that is no input of the function.")
    }
}
