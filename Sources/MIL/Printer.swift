// Programs as text; `Parser.swift` holds the grammar. The same program always gives the same text, and text that was
// printed, read and printed again does not change: numbers are written exactly, names are unique.

extension Program {
    /// Where the bytes of a constant lie, in place of the constant itself.
    public typealias BlobPlace = (path: String, offset: Int)

    /// The program as text, every constant inline.
    public var text: String { text(blobFor: nil) }

    /// The program as text. Constants of more than ten elements are offered to `blobFor`;
    /// they stay inline where it gives nil.
    public func text(blobFor: ((Tensor) -> BlobPlace?)?) -> String {
        var result = "program(1.3)\n"
        if defaultFunction != Program.usualDefault(functions) {
            result += "[defaultFunction = string(\(Printer.quoted(defaultFunction)))]\n"
        }
        result += "{\n"
        for function in functions {
            var printer = Printer(function, blobFor)
            printer.printFunction(indent: 4)
            result += printer.text
        }
        return result + "}\n"
    }
}

extension Function {
    /// The function as text, every constant inline.
    public var text: String { text(blobFor: nil) }

    /// The function as text. Constants of more than ten elements are offered to `blobFor`;
    /// they stay inline where it gives nil.
    public func text(blobFor: ((Tensor) -> Program.BlobPlace?)?) -> String {
        var printer = Printer(self, blobFor)
        printer.printFunction(indent: 0)
        return printer.text
    }
}

/// Writes one function.
struct Printer {
    private(set) var text = ""
    private let function: Function
    private let blobFor: ((Tensor) -> Program.BlobPlace?)?
    /// The unquoted name of every value that is used.
    private var names: [String]
    /// Constants that are still to be printed.
    private var pending: Set<ValueID> = []

    init(_ function: Function, _ blobFor: ((Tensor) -> Program.BlobPlace?)?) {
        self.function = function
        self.blobFor = blobFor
        names = []
        names = uniqueNames()
    }

    // MARK: Names

    /// A name for each value, the one it has where possible; inputs and outputs choose first.
    private mutating func uniqueNames() -> [String] {
        var names = [String?](repeating: nil, count: function.values.count)
        var taken: Set<String> = []
        var counts: [String: Int] = [:]
        func choose(_ id: ValueID) {
            guard names[Int(id.index)] == nil else { return }
            let wanted = function[id].name.isEmpty ? "value" : function[id].name
            var name = wanted
            while !taken.insert(name).inserted {
                counts[wanted, default: 0] += 1
                name = "\(wanted)_\(counts[wanted]!)"
            }
            names[Int(id.index)] = name
        }
        var defined = Set(function.inputs)
        func visit(_ block: Block) {
            block.inputs.forEach(choose)
            defined.formUnion(block.inputs)
            for operation in block.operations {
                operation.inputs.forEach(choose)
                operation.blocks.forEach(visit)
                operation.outputs.forEach(choose)
                defined.formUnion(operation.outputs)
            }
            block.outputs.forEach(choose)
        }
        function.inputs.forEach(choose)
        function.outputs.forEach(choose)
        visit(function.block)
        for (index, value) in function.values.enumerated() where value.constant != nil && names[index] != nil {
            pending.insert(ValueID(index))
        }
        pending.subtract(defined)
        return names.map { $0 ?? "" }
    }

    private func name(_ id: ValueID) -> String { Printer.name(names[Int(id.index)]) }

    private func list(_ ids: [ValueID]) -> String { ids.map(name).joined(separator: ", ") }

    /// A name as it stands in text: in backquotes where it is no identifier.
    static func name(_ name: String) -> String {
        let isPlain =
            name.utf8.first.map(Lexer.startsName) == true && name.utf8.allSatisfy(Lexer.continuesName)
            && !Lexer.specialNumbers.contains(name) && name != "true" && name != "false"
        return isPlain ? name : quoted(name, by: "`")
    }

    static func quoted(_ text: String, by quote: Unicode.Scalar = "\"") -> String {
        var result = String.UnicodeScalarView()
        result.append(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\":
                result.append("\\")
                result.append(scalar)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\0"..<" ", "\u{7f}", "\u{2028}", "\u{2029}":
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
            default: result.append(scalar)
            }
        }
        result.append(quote)
        return String(result)
    }

    // MARK: Functions and operations

    mutating func printFunction(indent: Int) {
        let opset = Opset.text[function.opset] ?? Printer.foreignOpset(function.opset)
        text += spaces(indent) + "func \(Printer.name(function.name))<\(opset)>(\(inputs(function.block))) {\n"
        for operation in function.operations {
            printConstants(of: operation, indent: indent + 8)
            printOperation(operation, indent: indent + 8)
        }
        for id in function.outputs { printConstant(id, indent: indent + 8) }
        text += spaces(indent + 4) + "} -> (\(list(function.outputs)));\n"
    }

    /// An opset without a name in text; quoted where the parser would take it for another.
    private static func foreignOpset(_ opset: String) -> String {
        Opset.byText[opset] == nil ? name(opset) : quoted(opset, by: "`")
    }

    private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }

    private func inputs(_ block: Block) -> String {
        block.inputs.map { "\(function[$0].type.text) \(name($0))" }.joined(separator: ", ")
    }

    private mutating func printOperation(_ operation: Operation, indent: Int) {
        let row = OpTable[operation.op]
        let outputs = operation.outputs.map { "\(function[$0].type.text) \(name($0))" }.joined(separator: ", ")
        let arguments = operation.arguments.map { argument in
            let isList = row?.parameter(argument.name)?.isList ?? false || argument.values.count != 1
            return "\(Printer.name(argument.name)) = \(isList ? "(\(list(argument.values)))" : list(argument.values))"
        }
        text += spaces(indent) + (outputs.isEmpty ? "" : outputs + " = ")
        text += "\(Printer.name(operation.op))(\(arguments.joined(separator: ", ")))"
        if let first = operation.outputs.first {
            text += "[name = string(\(Printer.quoted(names[Int(first.index)])))]"
        }
        for block in operation.blocks {
            text += "\n" + spaces(indent) + (block.inputs.isEmpty ? "{\n" : "(\(inputs(block))) {\n")
            for inner in block.operations { printOperation(inner, indent: indent + 4) }
            text += spaces(indent) + "} -> (\(list(block.outputs)))"
        }
        text += ";\n"
    }

    /// Constants stand before the operation that first uses them, those of nested blocks before the outermost one.
    private mutating func printConstants(of operation: Operation, indent: Int) {
        for id in operation.inputs { printConstant(id, indent: indent) }
        for block in operation.blocks {
            for inner in block.operations { printConstants(of: inner, indent: indent) }
            for id in block.outputs { printConstant(id, indent: indent) }
        }
    }

    private mutating func printConstant(_ id: ValueID, indent: Int) {
        guard pending.remove(id) != nil, let tensor = function[id].constant else { return }
        let type = ValueType.tensor(tensor.type).text
        text += spaces(indent) + "\(type) \(name(id)) = const()"
        text += "[name = string(\(Printer.quoted(names[Int(id.index)]))), val = \(type)("
        if tensor.count > 10, tensor.dtype != .string, let (path, offset) = blobFor?(tensor) {
            text += "BLOBFILE(path = string(\(Printer.quoted(path))), offset = uint64(\(offset)))"
        } else {
            printElements(tensor)
        }
        text += ")];\n"
    }

    // MARK: Elements

    /// The elements as nested lists; as one list where there are none or the lists would nest deeply.
    private mutating func printElements(_ tensor: Tensor) {
        let shape = tensor.count == 0 || tensor.shape.count > 8 ? [tensor.count] : tensor.shape
        // The lengths, in elements, of the lists inside the outermost one.
        let lengths = shape.indices.dropFirst().map { shape[$0...].reduce(1, *) }
        text += String(repeating: "[", count: shape.count)
        for index in 0..<tensor.count {
            if index > 0 {
                let ended = lengths.count { index % $0 == 0 }
                text += String(repeating: "]", count: ended) + ", " + String(repeating: "[", count: ended)
            }
            text += Printer.element(tensor, index)
        }
        text += String(repeating: "]", count: shape.count)
    }

    private static func element(_ tensor: Tensor, _ index: Int) -> String {
        func load<T>(_: T.Type) -> T {
            tensor.pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.stride, as: T.self)
        }
        switch tensor.dtype {
        case .bool: return load(UInt8.self) != 0 ? "true" : "false"
        case .int8: return String(load(Int8.self))
        case .uint8: return String(load(UInt8.self))
        case .int16: return String(load(Int16.self))
        case .uint16: return String(load(UInt16.self))
        case .int32: return String(load(Int32.self))
        case .uint32: return String(load(UInt32.self))
        case .int64: return String(load(Int64.self))
        case .uint64: return String(load(UInt64.self))
        case .float16: return number(Double(float(half: load(UInt16.self))), UInt64(load(UInt16.self)), .float16)
        case .float32: return number(Double(load(Float.self)), UInt64(load(UInt32.self)), .float32)
        case .float64: return number(load(Double.self), load(UInt64.self), .float64)
        case .complex64:
            let bits = load(SIMD2<UInt32>.self)
            let parts = [bits.x, bits.y].map { number(Double(Float(bitPattern: $0)), UInt64($0), .float32) }
            return "(\(parts[0]), \(parts[1]))"
        case .complex128:
            let bits = load(SIMD2<UInt64>.self)
            let parts = [bits.x, bits.y].map { number(Double(bitPattern: $0), $0, .float64) }
            return "(\(parts[0]), \(parts[1]))"
        case .string: return quoted(tensor.strings[index])
        }
    }

    /// A number exactly: hexadecimal as C's `%a` writes it, `inf`, or `nan` with its bits where they are unusual.
    private static func number(_ value: Double, _ bits: UInt64, _ dtype: DataType) -> String {
        if value.isNaN { return bits == dtype.floatSpecials.nan ? "nan" : "nan(0x\(String(bits, radix: 16)))" }
        let sign = value.sign == .minus ? "-" : ""
        if value.isInfinite { return sign + "inf" }
        if value == 0 { return sign + "0x0p+0" }
        let fraction = String(value.significand.significandBitPattern | 1 << 52, radix: 16).dropFirst()
        let digits = String(fraction.reversed().drop { $0 == "0" }.reversed())
        let exponent = Int(value.exponent)
        return "\(sign)0x1\(digits.isEmpty ? "" : ".")\(digits)p\(exponent < 0 ? "" : "+")\(exponent)"
    }
}

extension ValueType {
    /// The type in program text, where a tensor without dimensions is written as its element type.
    var text: String {
        switch self {
        case .tensor(let type): type.shape.isEmpty ? type.dtype.name : type.description
        case .state(let type): "state<\(ValueType.tensor(type).text)>"
        case .list(let element, let length): "list<\(element.text), \(length.map(String.init) ?? "?")>"
        case .tuple(let members): "tuple<\(members.map(\.text).joined(separator: ", "))>"
        case .dictionary(let key, let value): "dict<\(key.text), \(value.text)>"
        }
    }
}
