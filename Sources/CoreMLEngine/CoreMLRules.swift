import MIL
import Passes

/// What Core ML's language can say, and how what it cannot say directly is said with other ops.
enum CoreMLRules {
    static let mostDimensions = 5

    /// Why Core ML would not take an operation as it stands; nil where it would.
    static func refusal(of call: Call) -> String? {
        guard call.op.isCoreML else { return "Core ML has no op '\(call.op.name)'." }
        if let reason = special[call.op.name]?(call) { return reason }
        for argument in call.operation.arguments {
            guard let parameter = call.op.parameter(argument.name) else { continue }
            for id in argument.values {
                if let reason = refusal(of: call.function[id], as: parameter, of: call.op.name) { return reason }
            }
        }
        return call.operation.outputs.lazy.compactMap { refusal(of: call.function[$0]) }.first
    }

    static func refusal(_ operation: Operation, _ function: Function) -> String? {
        do { return refusal(of: try Call(operation, in: function)) } catch { return "\(error)" }
    }

    private static func refusal(of value: Value, as parameter: Op.Parameter, of op: String) -> String? {
        // Numbers and words that only say how are given the type that Core ML wants.
        if value.constant != nil, parameter.isConstant { return nil }
        if let reason = refusal(of: value) { return reason }
        guard let dtype = value.type.tensor?.dtype else { return nil }
        if value.constant != nil, dtype.isInteger, CoreMLTypes.wholeNumbers(op, parameter) != nil { return nil }
        let allowed = CoreMLTypes.allowed(op, parameter.name)
        guard !allowed.contains(dtype) else { return nil }
        let names = DataType.allCases.filter(allowed.contains).map(\.name).joined(separator: ", ")
        return "Core ML's '\(op)' takes \(names) as '\(parameter.name)', not \(dtype.name)."
    }

    /// What holds for every value.
    private static func refusal(of value: Value) -> String? {
        guard let type = value.type.tensor else { return nil }
        guard CoreMLTypes.moved.contains(type.dtype) || type.dtype == .string || value.constant != nil else {
            return
                "'\(value.name)' is \(type.dtype.name); Core ML has fp16, fp32, int32 and bool, and moves smaller numbers."
        }
        guard type.rank <= mostDimensions else {
            return "'\(value.name)' has \(type.rank) dimensions; Core ML has \(mostDimensions) at most."
        }
        return type.shape.contains(0) ? "'\(value.name)' has no elements; Core ML has no empty tensors." : nil
    }

    /// What is refused beyond element types and shapes.
    private static let special: [String: @Sendable (Call) -> String?] = [
        "constexpr_lut_to_dense": { $0.has("shape") ? "Core ML 8 has no indices packed in bytes." : nil },
        "constexpr_sparse_to_dense": { _ in masks },
        "constexpr_lut_to_sparse": { _ in masks },
        "constexpr_sparse_blockwise_shift_scale": { _ in masks },
        "einsum": { isProduct($0) ? nil : "Core ML's 'einsum' knows nchw,nwhu->nchu and chw,whr->chr alone." },
        "prelu": { rank("x", of: $0, in: 3...5) },
        "softplus_parametric": { rank("x", of: $0, in: 3...5) },
        "matmul": { rank("x", of: $0, in: 2...5) ?? rank("y", of: $0, in: 2...5) },
        "select": { call in
            guard let a = try? call.type("a").shape, let b = try? call.type("b").shape,
                let cond = try? call.type("cond").shape, let both = try? broadcast(a, b),
                let all = try? broadcast(both, cond),
                all != both
            else { return nil }
            return "Core ML's 'select' gives the shape of 'a' and 'b', \(both), and 'cond' stretches it to \(all)."
        },
        "topk": { call in
            (try? call.bool("return_indices")) == false
                ? "Core ML's 'topk' has no type for indices that are left out." : nil
        },
    ]

    private static func rank(_ parameter: String, of call: Call, in range: ClosedRange<Int>) -> String? {
        guard let rank = try? call.type(parameter).rank, !range.contains(rank) else { return nil }
        return
            "Core ML's '\(call.op.name)' takes \(range.lowerBound) to \(range.upperBound) dimensions as '\(parameter)', "
            + "not \(rank)."
    }

    /// Whether an equation is one of Core ML's, whatever its letters.
    private static func isProduct(_ call: Call) -> Bool {
        var letters: [Character] = []
        let text = ((try? call.text("equation")) ?? "").filter { $0 != " " }
        let numbered = text.map { (letter: Character) -> String in
            guard letter.isLetter else { return String(letter) }
            if !letters.contains(letter) { letters.append(letter) }
            return String(letters.firstIndex(of: letter) ?? 0)
        }.joined()
        return ["0123,0324->0124", "012,213->013"].contains(numbered)
    }

    private static let masks = "Masks of single bits cannot be written to a model file yet."
}

extension Function {
    /// Replaces what Core ML lacks by other ops, and fails with the reason if that is not possible.
    mutating func sayInCoreML() throws {
        let lacking = allOperations.first { CoreMLRules.refusal($0, self) != nil }?.op ?? ""
        do { try expand { CoreMLRules.refusal($0, $1) != nil } } catch let failure as Failure {
            // Not every expansion takes every type that its op has.
            throw Failure(
                .unsupported,
                "Core ML does not have the op '\(lacking)' as used here, and other ops cannot replace it: "
                    + failure.message)
        }
        removeDead()
        for operation in operations {
            guard let reason = CoreMLRules.refusal(operation, self) else { continue }
            throw Failure(.unsupported, "op '\(operation.op)': \(reason)")
        }
        for index in operations.indices { try adaptConstants(ofOperation: index) }
    }

    /// Gives what says how an op works the element type that Core ML wants: int32, and numbers like those they meet.
    private mutating func adaptConstants(ofOperation index: Int) throws {
        let call = try Call(operations[index], in: self)
        let like = operations[index].arguments.lazy.filter { call.op.parameter($0.name)?.isConstant == false }
            .flatMap(\.values).compactMap { call.function[$0].type.tensor?.dtype }.first { $0.isFloat }
        for position in operations[index].arguments.indices {
            let argument = operations[index].arguments[position]
            if call.op.name == "topk", argument.name == "k", (try? call.int("k")) == -1 {
                let size = try call.type("x").shape[call.axis(rank: call.type("x").rank)]
                block.operations[index].arguments[position].values = [self.constant(Tensor(Int32(size)), name: "k")]
                continue
            }
            guard let parameter = call.op.parameter(argument.name), let id = argument.values.first,
                let constant = self[id].constant, let dtype = call.wanted(constant, as: parameter, like: like)
            else { continue }
            guard let adapted = constant.exactly(dtype) else {
                throw Failure(
                    .unsupported,
                    "op '\(call.op.name)': The parameter '\(parameter.name)' holds what \(dtype.name), Core ML's type, cannot."
                )
            }
            block.operations[index].arguments[position].values = [self.constant(adapted, name: self[id].name)]
        }
    }
}

extension Call {
    /// The element type that a constant must get; nil where it has the right one.
    fileprivate func wanted(_ constant: Tensor, as parameter: Op.Parameter, like: DataType?) -> DataType? {
        let dtype: DataType?
        if constant.dtype.isInteger {
            guard let allowed = CoreMLTypes.wholeNumbers(op.name, parameter), !allowed.contains(constant.dtype) else {
                return nil
            }
            dtype = allowed.contains(.int32) ? .int32 : allowed.first
        } else if constant.dtype.isFloat, parameter.isConstant, constant.count == 1 {
            dtype = CoreMLTypes.alwaysSingle.contains("\(op.name).\(parameter.name)") ? .float32 : like
        } else {
            dtype = nil
        }
        return dtype == constant.dtype ? nil : dtype
    }
}

extension Tensor {
    /// The elements in another type; nil if it is an integer type and an element is beyond int32.
    fileprivate func exactly(_ dtype: DataType) -> Tensor? {
        let numbers = (0..<count).map { double(at: $0) }
        guard dtype.isFloat || numbers.allSatisfy({ abs($0) <= Double(Int32.max) }) else { return nil }
        return Tensor(numbers, dtype: dtype, shape: shape)
    }
}
