import MIL

/// Looks over a program that was read: every op is known, and the types it declares are those that follow.
enum ProgramCheck {
    static func check(_ functions: [Function]) throws {
        try checkOps(functions)
        for function in functions {
            do {
                try checkTypes(function.block, in: function, function.values)
            } catch let failure as Failure {
                throw failure.at("Function '\(function.name)'")
            }
        }
    }

    /// All unknown ops are named at once, each with its count and first place: one read tells the whole story.
    private static func checkOps(_ functions: [Function]) throws {
        struct Unknown {
            let op: String
            var count = 0
            let place: String
        }
        var unknown: [Unknown] = []
        var indices: [String: Int] = [:]
        func visit(_ block: Block, in function: Function) {
            for operation in block.operations {
                for nested in operation.blocks { visit(nested, in: function) }
                guard OpTable[operation.op] == nil else { continue }
                if let index = indices[operation.op] {
                    unknown[index].count += 1
                } else {
                    let output = operation.outputs.first.map { "'\(function[$0].name)' of " } ?? ""
                    indices[operation.op] = unknown.count
                    unknown.append(Unknown(op: operation.op, count: 1, place: "\(output)function '\(function.name)'"))
                }
            }
        }
        for function in functions { visit(function.block, in: function) }
        guard !unknown.isEmpty else { return }
        let list = unknown.map { "'\($0.op)' (\($0.count) times, first \($0.place))" }.joined(separator: ", ")
        throw Failure(.unsupported, "The program uses ops that this version of Martlet does not know: \(list).")
    }

    private static func checkTypes(_ block: Block, in function: Function, _ values: [Value]) throws {
        for operation in block.operations {
            for nested in operation.blocks { try checkTypes(nested, in: function, values) }
            guard operation.blocks.isEmpty,
                operation.arguments.allSatisfy({ $0.values.allSatisfy { isFixed(values[Int($0.index)].type) } })
            else { continue }
            let call = try Call(operation, in: function)
            let inferred: [ValueType]
            do {
                inferred = try call.infer()
            } catch let failure as Failure where failure.kind == .unsupported && isFlexible(function) {
                // A number that must be known may follow from a shape that is not known yet; compiling for one tells.
                continue
            } catch let failure as Failure {
                // What a file says wrongly is the file's fault; what we cannot do stays as it is.
                let isOurs = [.unsupported, .outOfMemory, .bug].contains(failure.kind)
                throw isOurs ? failure : Failure(.malformed, failure.message)
            }
            guard inferred.count == operation.outputs.count else {
                let count = operation.outputs.count
                throw Failure(.malformed, "\(call.place): It declares \(count) outputs; the op has \(inferred.count).")
            }
            for (id, type) in zip(operation.outputs, inferred) where !agree(values[Int(id.index)].type, type) {
                let output = function[id]
                throw Failure(
                    .malformed,
                    "\(call.place): The output '\(output.name)' is declared as \(output.type); "
                        + "\(type) follows from the inputs.")
            }
        }
    }

    private static func isFlexible(_ function: Function) -> Bool {
        function.inputs.contains { !isFixed(function[$0].type) }
    }

    private static func isFixed(_ type: ValueType) -> Bool {
        switch type {
        case .tensor(let tensor), .state(let tensor): tensor.isFixed
        default: false
        }
    }

    /// Dimensions that either side does not know agree with any.
    private static func agree(_ declared: ValueType, _ inferred: ValueType) -> Bool {
        guard case (.tensor(let a), .tensor(let b)) = (declared, inferred) else { return declared == inferred }
        return a == b
            || a.dtype == b.dtype && a.rank == b.rank
                && zip(a.shape, b.shape).allSatisfy { $0 == $1 || $0 < 0 || $1 < 0 }
    }
}
