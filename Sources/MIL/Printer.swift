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
                for _ in 0..<ended { text += "]" }
                text += ", "
                for _ in 0..<ended { text += "[" }
            }
            printElement(tensor, index)
        }
        text += String(repeating: "]", count: shape.count)
    }

    private mutating func printElement(_ tensor: Tensor, _ index: Int) {
        func load<T>(_: T.Type) -> T {
            tensor.pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.stride, as: T.self)
        }
        switch tensor.dtype {
        case .bool: text += load(UInt8.self) != 0 ? "true" : "false"
        case .int8: text += String(load(Int8.self))
        case .uint8: text += String(load(UInt8.self))
        case .int16: text += String(load(Int16.self))
        case .uint16: text += String(load(UInt16.self))
        case .int32: text += String(load(Int32.self))
        case .uint32: text += String(load(UInt32.self))
        case .int64: text += String(load(Int64.self))
        case .uint64: text += String(load(UInt64.self))
        case .float16: printNumber(UInt64(load(UInt16.self)), .float16)
        case .float32: printNumber(UInt64(load(UInt32.self)), .float32)
        case .float64: printNumber(load(UInt64.self), .float64)
        case .complex64:
            let parts = load(SIMD2<UInt32>.self)
            printComplex(UInt64(parts.x), UInt64(parts.y), .float32)
        case .complex128:
            let parts = load(SIMD2<UInt64>.self)
            printComplex(parts.x, parts.y, .float64)
        case .string: text += Printer.quoted(tensor.strings[index])
        }
    }

    private mutating func printComplex(_ real: UInt64, _ imaginary: UInt64, _ dtype: DataType) {
        text += "("
        printNumber(real, dtype)
        text += ", "
        printNumber(imaginary, dtype)
        text += ")"
    }

    /// A number exactly: hexadecimal as C's `%a` writes it, `inf`, or `nan` with its bits where they are unusual.
    private mutating func printNumber(_ bits: UInt64, _ dtype: DataType) {
        let value: Double =
            switch dtype {
            case .float16: Double(float(half: UInt16(bits)))
            case .float32: Double(Float(bitPattern: UInt32(bits)))
            default: Double(bitPattern: bits)
            }
        if value.isNaN {
            text += bits == dtype.floatSpecials.nan ? "nan" : "nan(0x\(String(bits, radix: 16)))"
            return
        }
        if value.sign == .minus { text += "-" }
        if value.isInfinite {
            text += "inf"
        } else if value == 0 {
            text += "0x0p+0"
        } else {
            let fraction = value.significand.significandBitPattern
            if fraction == 0 {
                text += "0x1"
            } else {
                let dropped = fraction.trailingZeroBitCount & ~3
                let digits = String(fraction >> UInt64(dropped), radix: 16)
                text += "0x1."
                for _ in 0..<(13 - dropped / 4 - digits.utf8.count) { text += "0" }
                text += digits
            }
            text += value.exponent < 0 ? "p" : "p+"
            text += String(Int(value.exponent))
        }
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
