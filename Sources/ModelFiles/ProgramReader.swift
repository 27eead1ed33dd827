import MIL

/// The opsets of ML Programs, oldest first; specification version 6 came with the first.
enum Opset {
    static let names = ["CoreML5", "CoreML6", "CoreML7", "CoreML8", "CoreML9"]
    static let firstVersion = 6

    /// Older opsets have lower ranks; nil for names of the future.
    static func rank(_ name: String) -> Int? { names.firstIndex(of: name) }
}

/// Reads the functions of an ML Program.
struct ProgramReader {
    private var values: ValueReader

    init(blobPath: @escaping (String) throws -> String) { values = ValueReader(blobPath: blobPath) }

    mutating func functions(_ program: ProtobufReader) throws -> [Function] {
        var functions: [Function] = []
        try program.each(2) { field in
            let (name, reader) = try field.entry()
            guard !name.isEmpty, !functions.contains(where: { $0.name == name }) else {
                throw Failure(
                    .malformed, name.isEmpty ? "A function has no name." : "There are two functions '\(name)'.")
            }
            guard functions.count < 4096 else { throw Failure(.malformed, "There are more than 4096 functions.") }
            do {
                var function = FunctionReader(name, values)
                functions.append(try function.read(reader))
                values = function.values
            } catch let failure as Failure {
                throw failure.at("Function '\(name)'")
            }
        }
        guard !functions.isEmpty else { throw Failure(.malformed, "The program has no functions.") }
        return functions
    }
}

/// Reads one function. Names are resolved to values while reading, innermost block first.
private struct FunctionReader {
    var values: ValueReader
    private var function: Function
    private var names: [String: ValueID] = [:]
    /// What a nested block hid, to be restored at its end.
    private var hidden: [(name: String, id: ValueID?)] = []
    private var scopeStart = 0
    private var depth = 0
    /// Constants written into an argument have no name in the file; they get one at the end.
    private var unnamed: [ValueID] = []

    init(_ name: String, _ values: ValueReader) {
        function = Function(name: name)
        self.values = values
    }

    mutating func read(_ reader: ProtobufReader) throws -> Function {
        try reader.each(2) { function.opset = try $0.string() }
        guard Opset.rank(function.opset) != nil else {
            throw Failure(
                .unsupported,
                "The opset '\(function.opset)' is not one this version of Martlet knows: \(Opset.names.joined(separator: ", "))."
            )
        }
        try reader.each(1) { function.block.inputs.append(try define($0.message(), operation: "the inputs")) }
        var block: ProtobufReader?
        try reader.each(3) { field in
            let (opset, specialization) = try field.entry()
            if opset == function.opset { block = specialization }
        }
        guard let block else {
            throw Failure(.malformed, "There is no block for its opset '\(function.opset)'.")
        }
        // A value takes some 150 bytes of the file.
        names.reserveCapacity(block.byteCount / 150)
        function.values.reserveCapacity(block.byteCount / 150)
        let content = try self.content(block)
        function.block.operations = content.operations
        function.block.outputs = content.outputs
        nameTheUnnamed()
        return function
    }

    // MARK: Names

    private mutating func define(_ name: String, _ type: ValueType, constant: Tensor? = nil) throws -> ValueID {
        guard !name.isEmpty else { throw Failure(.malformed, "A value of type \(type) has no name.") }
        let id = function.add(Value(name: name, type: type, constant: constant))
        let earlier = names.updateValue(id, forKey: name)
        if let earlier, earlier.index >= scopeStart {
            throw Failure(.malformed, "The name '\(name)' is given to two values.")
        }
        if depth > 0 { hidden.append((name, earlier)) }
        return id
    }

    private mutating func define(_ reader: ProtobufReader, operation: @autoclosure () -> String) throws -> ValueID {
        let (name, type) = try Self.namedType(reader)
        guard let type else { throw Failure(.malformed, "The value '\(name)' of \(operation()) has no type.") }
        return try define(name, ValueType(type))
    }

    private static func namedType(_ reader: ProtobufReader) throws -> (name: String, type: ProtobufReader?) {
        var reader = reader
        var name = ""
        var type: ProtobufReader?
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.string()
            case 2: type = try reader.message()
            default: try reader.skip()
            }
        }
        return (name, type)
    }

    private func resolve(_ name: String) throws -> ValueID {
        guard let id = names[name] else {
            throw Failure(.malformed, "The name '\(name)' is used before a value has it, or outside of its block.")
        }
        return id
    }

    private mutating func nameTheUnnamed() {
        guard !unnamed.isEmpty else { return }
        var taken = Set(function.values.map(\.name))
        for id in unnamed {
            let base = function[id].name
            var (name, number) = (base, 0)
            while !taken.insert(name).inserted {
                number += 1
                name = "\(base)_\(number)"
            }
            function[id].name = name
        }
    }

    // MARK: Blocks

    private mutating func content(_ reader: ProtobufReader) throws -> Block {
        var block = Block()
        try reader.each(3) { field in
            let operation = try field.message()
            if let operation = try self.operation(operation) { block.operations.append(operation) }
        }
        try reader.each(2) { block.outputs.append(try resolve($0.string())) }
        return block
    }

    private mutating func nestedBlock(_ reader: ProtobufReader) throws -> Block {
        guard depth < SpecLimits.blockDepth else {
            throw Failure(.malformed, "Blocks nest deeper than \(SpecLimits.blockDepth).")
        }
        let (outerStart, firstHidden) = (scopeStart, hidden.count)
        scopeStart = function.values.count
        depth += 1
        var inputs: [ValueID] = []
        try reader.each(1) { inputs.append(try define($0.message(), operation: "the inputs of a block")) }
        var block = try content(reader)
        block.inputs = inputs
        for (name, id) in hidden[firstHidden...].reversed() { names[name] = id }
        hidden.removeSubrange(firstHidden...)
        (scopeStart, depth) = (outerStart, depth - 1)
        return block
    }

    // MARK: Operations

    /// Reads an operation; nil for constants, which become values only.
    private mutating func operation(_ reader: ProtobufReader) throws -> Operation? {
        var op = ""
        try reader.each(1) { op = try $0.string() }
        guard !op.isEmpty else { throw Failure(.malformed, "An operation has no type.") }
        do {
            guard op != "const" else {
                try constant(reader)
                return nil
            }
            var operation = Operation(op, try arguments(reader), outputs: [])
            try reader.each(4) { operation.blocks.append(try nestedBlock($0.message())) }
            try reader.each(3) { operation.outputs.append(try define($0.message(), operation: op)) }
            for id in unnamed.reversed() {
                guard function[id].name.isEmpty || function[id].name.hasPrefix(".") else { break }
                let output = operation.outputs.first.map { function[$0].name } ?? op
                function[id].name = output + "_" + function[id].name.dropFirst()
            }
            return operation
        } catch let failure as Failure {
            throw failure.at(Self.place(op, reader))
        }
    }

    /// `op 'conv' (y)` for messages; whatever cannot be read is left out.
    private static func place(_ op: String, _ reader: ProtobufReader) -> String {
        var name = ""
        try? reader.each(3) { field in
            let output = try Self.namedType(field.message()).name
            if name.isEmpty { name = output }
        }
        return name.isEmpty ? "op '\(op)'" : "op '\(op)' (\(name))"
    }

    private mutating func constant(_ reader: ProtobufReader) throws {
        var reader = reader
        var (value, output): (ProtobufReader?, ProtobufReader?)
        var outputs = 0
        while let field = try reader.next() {
            switch field {
            case 3: (output, outputs) = (try reader.message(), outputs + 1)
            case 5:
                let (name, content) = try reader.entry()
                if name == "val" { value = content }
            default: try reader.skip()
            }
        }
        guard let value else { throw Failure(.malformed, "A constant has no value.") }
        guard let output, outputs == 1 else {
            throw Failure(.malformed, "A constant must have one output, not \(outputs).")
        }
        let (type, tensor, wire) = try values.value(value)
        let (name, declared) = try Self.namedType(output)
        if let declared, !declared.isSame(as: wire) {
            let declared = try ValueType(declared)
            guard Self.agree(declared, type) else {
                throw Failure(.malformed, "It is declared as \(declared) and holds a \(type).")
            }
        }
        _ = try define(name, type, constant: tensor)
    }

    /// Lists may leave their length open.
    private static func agree(_ declared: ValueType, _ actual: ValueType) -> Bool {
        if case (.list(let a, _), .list(let b, _)) = (declared, actual) { return a == b }
        return declared == actual
    }

    /// Named arguments; attributes other than the name count as arguments, old compressed weights stand there.
    private mutating func arguments(_ reader: ProtobufReader) throws -> [Argument] {
        var arguments: [Argument] = []
        func add(_ argument: Argument) throws {
            guard !argument.name.isEmpty, !arguments.contains(where: { $0.name == argument.name }) else {
                throw Failure(.malformed, "The parameter '\(argument.name)' is given twice or has no name.")
            }
            guard arguments.count < SpecLimits.argumentsOfAnOperation else {
                throw Failure(.malformed, "It has more than \(SpecLimits.argumentsOfAnOperation) arguments.")
            }
            arguments.append(argument)
        }
        try reader.each(2) { field in
            let (name, bindings) = try field.entry()
            var argument = Argument(name, [])
            try bindings.each(1) { argument.values.append(try binding($0.message(), of: name)) }
            try add(argument)
        }
        try reader.each(5) { field in
            let (name, value) = try field.entry()
            if name != "name" { try add(Argument(name, [immediate(value, of: name)])) }
        }
        return arguments
    }

    private mutating func binding(_ reader: ProtobufReader, of parameter: String) throws -> ValueID {
        var reader = reader
        var id: ValueID?
        while let field = try reader.next() {
            switch field {
            case 1: id = try resolve(reader.string())
            case 2: id = try immediate(reader.message(), of: parameter)
            default: try reader.skip()
            }
        }
        guard let id else { throw Failure(.malformed, "The parameter '\(parameter)' is bound to nothing.") }
        return id
    }

    private mutating func immediate(_ reader: ProtobufReader, of parameter: String) throws -> ValueID {
        let (type, tensor, _) = try values.value(reader)
        let id = function.add(Value(name: "." + parameter, type: type, constant: tensor))
        unnamed.append(id)
        return id
    }
}
