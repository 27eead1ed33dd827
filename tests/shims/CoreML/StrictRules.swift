import MIL
import ModelFiles

/// What Core ML's compiler refuses, looked for in a model that our own reader took.
enum StrictRules {
    static func check(_ model: Model) throws {
        try checkVersion(model)
        for function in model.program.functions {
            do {
                try checkNames(function)
                try checkTypes(function)
                try check(try model.interface(function.name), of: function)
                let operations = function.allOperations
                // Compressed weights come out of operations and still count as constant.
                let unpacked = Set(operations.filter { $0.op.hasPrefix("constexpr_") }.flatMap(\.outputs))
                for operation in operations { try check(operation, unpacked, in: function) }
            } catch let failure as Failure {
                throw failure.at("function '\(function.name)'")
            }
        }
    }

    /// The first specification version has the first opset, and each opset came with one; several functions came with the
    /// ninth.
    private static func checkVersion(_ model: Model) throws {
        let ranks = model.program.functions.map {
            OpsetFacts.opsets.firstIndex(of: $0.opset) ?? OpsetFacts.opsets.count
        }
        let needed = max(6 + (ranks.max() ?? 0), model.program.functions.count > 1 ? 9 : 6)
        guard model.specificationVersion >= needed else {
            throw refuse("The specification version is \(model.specificationVersion); the functions want \(needed).")
        }
    }

    /// Words of Core ML's language, which no value may be called.
    private static let reserved: Set<String> = [
        "any", "bool", "program", "func", "tensor", "list", "dict", "tuple", "true", "false", "string", "state", "bf16",
        "fp16", "fp32", "fp64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    ]

    private static func checkNames(_ function: Function) throws {
        // Compressed weights hold constants that have no name in the file.
        let hidden = Set(function.allOperations.filter { $0.op.hasPrefix("constexpr_") }.flatMap(\.inputs))
        for (index, value) in function.values.enumerated() where !hidden.contains(ValueID(index)) {
            guard isIdentifier(value.name) else {
                throw refuse("A value is called '\(value.name)'; names are letters, digits and _, and no words of MIL.")
            }
        }
    }

    private static func isIdentifier(_ name: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 }
        guard let first = name.utf8.first, isLetter(first), !reserved.contains(name) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (48...57).contains($0) }
    }

    /// What is computed has a type that Core ML computes with.
    private static func checkTypes(_ function: Function) throws {
        var known: Set<DataType> = [.float16, .float32, .int32, .string, .bool]
        if (OpsetFacts.opsets.firstIndex(of: function.opset) ?? 0) >= 2 {
            known.formUnion([.int8, .uint8, .int16, .uint16])
        }
        for id in function.inputs + function.allOperations.flatMap(\.outputs) {
            guard let dtype = function[id].type.tensor?.dtype, !known.contains(dtype) else { continue }
            throw refuse("The value '\(function[id].name)' is \(dtype.name), which \(function.opset) does not compute.")
        }
    }

    private static func refuse(_ words: String) -> Failure { Failure(.malformed, words) }

    // MARK: Interfaces

    private static func check(_ interface: Interface, of function: Function) throws {
        guard !function.inputs.isEmpty else { throw refuse("It has no inputs; Core ML wants one at least.") }
        guard !function.outputs.isEmpty else { throw refuse("It has no outputs; Core ML wants one at least.") }
        for feature in interface.inputs { try check(feature, isInput: true, function) }
        for feature in interface.outputs { try check(feature, isInput: false, function) }
        for feature in interface.states { try check(state: feature, function) }
        for value in function.values {
            guard let type = value.type.tensor, type.shape.contains(0), value.constant == nil else { continue }
            throw refuse("The value '\(value.name)' is a \(type): no dimension may be 0.")
        }
    }

    private static func check(_ feature: Feature, isInput: Bool, _ function: Function) throws {
        let what = isInput ? "input" : "output"
        let ids = isInput ? function.inputs : function.outputs
        guard case .multiArray(let array) = feature.kind else {
            try check(image: feature, ids, function)
            return
        }
        guard [.float16, .float32, .float64, .int32].contains(array.dtype) else {
            throw refuse(
                "The \(what) '\(feature.name)' is \(array.dtype.name); multi-arrays are fp16, fp32, fp64, int32.")
        }
        guard let id = ids.first(where: { function[$0].name == feature.name }) else { return }
        let type = try function.tensorType(id)
        let agrees = type.dtype == array.dtype || type.dtype == .float32 && array.dtype == .float64
        guard agrees else {
            throw refuse(
                "The \(what) '\(feature.name)' is \(array.dtype.name) in the description and \(type.dtype.name) in the "
                    + "program.")
        }
        if array.dtype == .float16, (OpsetFacts.opsets.firstIndex(of: function.opset) ?? 0) < 1 {
            throw refuse("The \(what) '\(feature.name)' is fp16, which wants CoreML6 (specification version 7).")
        }
        guard isInput else { return }
        let ranks = [array.shape.count, type.rank]
        guard ranks.allSatisfy({ (1...5).contains($0) }) else {
            throw refuse("The input '\(feature.name)' has the shape \(array.shape); the rank must be 1 to 5.")
        }
        try checkSizes(array, of: feature.name, type)
    }

    /// The sizes that an app may give are positive, include the usual shape, and fit the program's type.
    private static func checkSizes(_ array: Feature.MultiArray, of name: String, _ type: TensorType) throws {
        let shapes: [[Int]] =
            switch array.flexibility {
            case .fixed: [array.shape]
            case .enumerated(let shapes): shapes
            case .ranges(let ranges): [ranges.map(\.lower), array.shape]
            }
        for shape in shapes {
            guard shape.count == type.rank, shape.allSatisfy({ $0 > 0 }),
                zip(shape, type.shape).allSatisfy({ $1 < 0 || $0 == $1 })
            else {
                throw refuse("The input '\(name)' may be \(shape), which is no \(type) without empty dimensions.")
            }
        }
        let usual =
            switch array.flexibility {
            case .fixed: true
            case .enumerated(let shapes): shapes.contains(array.shape)
            case .ranges(let ranges): zip(ranges, array.shape).allSatisfy { $0.contains($1) }
            }
        guard usual else { throw refuse("The input '\(name)' may not have its own usual shape \(array.shape).") }
        if case .fixed = array.flexibility, !type.isFixed {
            throw refuse("The input '\(name)' is a \(type) in the program and has one shape in the description.")
        }
    }

    private static func check(image feature: Feature, _ ids: [ValueID], _ function: Function) throws {
        guard case .image = feature.kind, let id = ids.first(where: { function[$0].name == feature.name }) else {
            return
        }
        let type = try function.tensorType(id)
        guard type.rank == 4, [.float16, .float32].contains(type.dtype) else {
            throw refuse("The image '\(feature.name)' is a \(type) in the program; fp16 or fp32 of rank 4 is right.")
        }
    }

    private static func check(state feature: Feature, _ function: Function) throws {
        guard case .state(let array) = feature.kind, array.dtype == .float16 else {
            throw refuse("The state '\(feature.name)' must be an fp16 multi-array.")
        }
        guard (OpsetFacts.opsets.firstIndex(of: function.opset) ?? 0) >= 3 else {
            throw refuse("The state '\(feature.name)' wants CoreML8.")
        }
    }

    // MARK: Operations

    private static func check(_ operation: MIL.Operation, _ unpacked: Set<ValueID>, in function: Function) throws {
        let place = "op '\(operation.op)' (\(operation.outputs.first.map { function[$0].name } ?? ""))"
        guard let definition = OpsetFacts.definition(of: operation.op, function.opset) else {
            throw refuse("\(place): \(function.opset) has no such op.")
        }
        for argument in operation.arguments {
            guard let parameter = definition.parameters.first(where: { $0.name == argument.name }) else {
                throw refuse("\(place): \(function.opset) has no parameter '\(argument.name)' of it.")
            }
            for id in argument.values {
                let isConstant = function[id].constant != nil || unpacked.contains(id)
                try check(function[id], isConstant: isConstant, parameter, place)
            }
        }
        try checkPresence(operation, definition, place)
        try checkDomains(operation, definition, in: function, place)
    }

    /// Parameters that have a default must be said all the same.
    private static func checkPresence(
        _ operation: MIL.Operation, _ definition: OpsetFacts.Definition, _ place: String
    ) throws {
        for parameter in definition.parameters where operation[parameter.name] == nil {
            let standard = OpTable[operation.op]?.parameter(parameter.name)?.defaultValue
            guard !parameter.isOptional || standard != nil else { continue }
            throw refuse("\(place): The parameter '\(parameter.name)' is not said.")
        }
    }

    private static func check(
        _ value: Value, isConstant: Bool, _ parameter: OpsetFacts.Parameter, _ place: String
    ) throws {
        guard !parameter.isConstant || isConstant else {
            throw refuse("\(place): The parameter '\(parameter.name)' must be constant.")
        }
        guard let dtypes = parameter.dtypes, let type = value.type.tensor else { return }
        guard dtypes.contains(type.dtype) else {
            let wanted = DataType.allCases.filter(dtypes.contains).map(\.name).joined(separator: ", ")
            throw refuse("\(place): The parameter '\(parameter.name)' is \(type.dtype.name); it takes \(wanted).")
        }
    }

    private static func checkDomains(
        _ operation: MIL.Operation, _ definition: OpsetFacts.Definition, in function: Function, _ place: String
    ) throws {
        var seen: [String: (name: String, dtype: DataType)] = [:]
        for parameter in definition.parameters {
            guard let domain = parameter.domain else { continue }
            for id in operation[parameter.name] ?? [] {
                guard let dtype = function[id].type.tensor?.dtype else { continue }
                if let other = seen[domain], other.dtype != dtype {
                    throw refuse(
                        "\(place): '\(other.name)' is \(other.dtype.name) and '\(parameter.name)' \(dtype.name); "
                            + "they must share one type.")
                }
                seen[domain] = (parameter.name, dtype)
            }
        }
    }
}
